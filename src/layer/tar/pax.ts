import { losslessBytes, losslessText } from "../../core/index.ts";
import { layerError } from "../errors.ts";

/**
 * The records `<length> <keyword>=<value>\n` of an extended header. Values are raw bytes: xattrs and names need not be
 * text. The last of equal keywords wins.
 * @see POSIX.1-2024, pax, "pax Extended Header"
 * @throws LAYER_HEADER_INVALID
 */
export function parsePax(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  eachPaxRecord(content, (keyword, value) => records.set(keyword, value));
  return records;
}

/** The same one by one, in their order and with those of equal keywords. @throws LAYER_HEADER_INVALID */
export function eachPaxRecord(
  content: Buffer,
  take: (keyword: string, value: Buffer) => void,
): void {
  for (let start = 0; start < content.length;) {
    const space = content.indexOf(0x20, start);
    const digits = space === -1 ? "" : content.toString("latin1", start, space);
    const end = /^\d{1,9}$/.test(digits) ? start + Number(digits) : -1;
    const equals = content.indexOf(0x3d, space);
    if (end > content.length || equals === -1 || equals >= end || content[end - 1] !== 0x0a)
      throw malformed(start);
    const keyword = losslessText(content.subarray(space + 1, equals));
    // The kernel would read such a name up to here, and take it for another one.
    if (keyword.includes("\0")) throw malformed(start);
    take(keyword, content.subarray(equals + 1, end - 1));
    start = end;
  }
}

export type PaxRecords = Map<string, string | Buffer>;

/** Records in the order of their keywords' UTF-16 units; one character a byte. Values that are text are ASCII. */
export function formatPax(records: PaxRecords): string {
  const keywords = [...records.keys()];
  if (keywords.length > 1) keywords.sort();
  let content = "";
  for (const keyword of keywords) content += formatRecord(keyword, records.get(keyword) ?? "");
  return content;
}

function formatRecord(keyword: string, value: string | Buffer): string {
  const text = typeof value === "string" ? value : value.toString("latin1");
  const rest = ` ${losslessBytes(keyword).toString("latin1")}=${text}\n`;
  // The length counts its own digits.
  let length = rest.length + String(rest.length).length;
  length = rest.length + String(length).length;
  return String(length) + rest;
}

function malformed(offset: number): Error {
  return layerError("LAYER_HEADER_INVALID", "read PAX header: malformed record", {
    details: { offset },
  });
}
