import { rootPathToString } from "../paths.ts";
import type { LayerEntry, NodeType } from "../types.ts";
import { blockSize, type FieldName, fields, paddingOf, xattrToKeyword } from "./format.ts";
import { formatPaxTime, wholeSeconds } from "./numbers.ts";
import { formatPax, type PaxRecords } from "./pax.ts";
import { usualHeaderSize, writeUsualHeader } from "./usual-header.ts";

const typeFlags: Readonly<Record<NodeType, number>> = {
  file: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  "char-device": 0x33,
  "block-device": 0x34,
  directory: 0x35,
  fifo: 0x36,
};

/**
 * The header of an entry, behind a PAX header where ustar's fields do not suffice: long names, numbers that do not
 * fit, times that are not whole seconds, xattrs. The same entry always gives the same bytes: no names of owners, no
 * access times, no process ids.
 */
export function formatHeader(entry: LayerEntry): Buffer {
  const usual = writeUsualHeader(entry, scratch, 0);
  return usual > 0 ? Buffer.from(scratch.subarray(0, usual)) : formatAnyHeader(entry);
}

const scratch = Buffer.allocUnsafeSlow(usualHeaderSize);

/** The same of any entry, in the longer way. */
export function formatAnyHeader(entry: LayerEntry): Buffer {
  const pax: PaxRecords = new Map();
  const name = archiveName(entry);
  const parts = splitName(name);
  if (parts === undefined) pax.set("path", name);
  const { linkTarget } = entry;
  if (linkTarget !== undefined && linkTarget.length > fields.linkName[1])
    pax.set("linkpath", linkTarget);
  const numbers = {
    uid: fitOrPax(pax, "uid", entry.uid),
    gid: fitOrPax(pax, "gid", entry.gid),
    size: fitOrPax(pax, "size", entry.type === "file" ? entry.size : 0),
    mtime: timeOrPax(pax, entry.mtime),
  };
  for (const [key, value] of entry.xattrs ?? []) pax.set(xattrToKeyword(key), value);

  // All in one piece: there are two headers for most files, and a place costs more to get than to fill.
  const content = pax.size === 0 ? "" : formatPax(pax);
  const start = content === "" ? 0 : blockSize + content.length + paddingOf(content.length);
  const blocks = Buffer.allocUnsafe(start + blockSize).fill(0);
  if (content !== "") writePax(blocks, content, entry);
  const header = start === 0 ? blocks : blocks.subarray(start);
  header.set(parts?.base ?? name.subarray(0, fields.name[1]), fields.name[0]);
  if (parts !== undefined) header.set(parts.prefix, fields.prefix[0]);
  linkTarget?.copy(header, fields.linkName[0], 0, fields.linkName[1]);
  writeNumber(header, "mode", entry.mode);
  writeNumber(header, "uid", numbers.uid);
  writeNumber(header, "gid", numbers.gid);
  writeNumber(header, "size", numbers.size);
  writeNumber(header, "mtime", numbers.mtime);
  writeNumber(header, "devMajor", entry.devMajor ?? 0);
  writeNumber(header, "devMinor", entry.devMinor ?? 0);
  seal(header, typeFlags[entry.type]);
  return blocks;
}

const none = Buffer.alloc(0);

/** Directories end in a slash, as every tar writes them; the root is `./`. */
function archiveName(entry: LayerEntry): Buffer {
  if (entry.type !== "directory") return entry.path;
  return entry.path.length === 0 ? Buffer.from("./") : Buffer.concat([entry.path, slash]);
}

const slash = Buffer.from("/");

/** ustar holds names of up to 255 bytes in two parts, when a slash lies in the right place. */
function splitName(name: Buffer): { base: Buffer; prefix: Buffer } | undefined {
  const [, baseLength] = fields.name;
  const [, prefixLength] = fields.prefix;
  if (name.length <= baseLength) return { base: name, prefix: none };
  if (name.length > baseLength + 1 + prefixLength) return undefined;
  const cut = name.lastIndexOf(0x2f, Math.min(prefixLength, name.length - 2));
  if (cut <= 0 || name.length - cut - 1 > baseLength) return undefined;
  return { base: name.subarray(cut + 1), prefix: name.subarray(0, cut) };
}

/** What goes into the field: 0 when the number does not fit and becomes a PAX record. */
function fitOrPax(pax: PaxRecords, field: "uid" | "gid" | "size", value: number): number {
  if (fits(field, value)) return value;
  pax.set(field, String(value));
  return 0;
}

function timeOrPax(pax: PaxRecords, mtime: bigint): number {
  const { seconds, exact } = wholeSeconds(mtime);
  const isPlain = seconds >= 0n && fits("mtime", Number(seconds));
  if (!isPlain || !exact) pax.set("mtime", formatPaxTime(mtime));
  return isPlain ? Number(seconds) : 0;
}

/** Octal digits, with a NUL behind them. */
function fits(field: FieldName, value: number): boolean {
  return value <= (fields[field][1] === 8 ? 0o7777777 : 0o77777777777);
}

/** Zero-padded octal before a NUL, which is there already; nothing when it does not fit. */
function writeNumber(header: Buffer, field: FieldName, value: number): void {
  if (!fits(field, value)) return;
  const [start, length] = fields[field];
  let rest = value;
  for (let at = start + length - 2; at >= start; at--) {
    const higher = Math.floor(rest / 8);
    header[at] = 0x30 + rest - 8 * higher;
    rest = higher;
  }
}

function seal(header: Buffer, flag: number): void {
  header[fields.type[0]] = flag;
  header.set(magic, fields.magic[0]);
  const [start, length] = fields.checksum;
  // The field itself counts as blanks.
  let sum = 0x20 * length;
  for (let index = 0; index < blockSize; index++) sum += header[index] ?? 0;
  writeNumber(header, "checksum", sum);
  // Six digits, a NUL, a blank.
  header.copyWithin(start, start + 1, start + length - 1);
  header[start + length - 2] = 0;
  header[start + length - 1] = 0x20;
}

const magic = Buffer.from("ustar\x0000", "latin1");

/** The name of a PAX header matters to nobody; it says whose it is, and must not depend on anything else. */
function writePax(blocks: Buffer, content: string, entry: LayerEntry): void {
  const name = rootPathToString(entry.path)
    .replace(/[^\x21-\x7e]/g, "_")
    .slice(-80);
  blocks.set(paxHeader);
  blocks.write(`PaxHeaders.0/${name}`, fields.name[0], "latin1");
  writeNumber(blocks, "size", content.length);
  seal(blocks, extendedHeader);
  blocks.write(content, blockSize, "latin1");
}

const extendedHeader = 0x78;
/** What all of them say. */
const paxHeader = Buffer.alloc(blockSize);
writeNumber(paxHeader, "mode", 0o644);
for (const field of ["uid", "gid", "mtime", "devMajor", "devMinor"] as const)
  writeNumber(paxHeader, field, 0);
