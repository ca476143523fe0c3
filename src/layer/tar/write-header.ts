import { rootPathToString } from "../paths.ts";
import type { LayerEntry, NodeType } from "../types.ts";
import { blockSize, type FieldName, fields, paddingOf, xattrToKeyword } from "./format.ts";
import { formatPaxTime, wholeSeconds } from "./numbers.ts";
import { formatPax } from "./pax.ts";

const typeFlags: Readonly<Record<NodeType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  "char-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
};

/**
 * The header of an entry, behind a PAX header where ustar's fields do not suffice: long names, numbers that do not
 * fit, times that are not whole seconds, xattrs. The same entry always gives the same bytes: no names of owners, no
 * access times, no process ids.
 */
export function formatHeader(entry: LayerEntry): Buffer {
  const pax = new Map<string, string | Buffer>();
  const name = splitName(archiveName(entry));
  if (name === undefined) pax.set("path", archiveName(entry));
  const header = Buffer.alloc(blockSize);
  const { base, prefix } = name ?? { base: archiveName(entry).subarray(0, 100), prefix: none };
  base.copy(header, fields.name[0]);
  prefix.copy(header, fields.prefix[0]);
  writeLink(header, entry, pax);
  writeNumber(header, "mode", BigInt(entry.mode));
  writeNumberOrPax(header, "uid", entry.uid, pax);
  writeNumberOrPax(header, "gid", entry.gid, pax);
  writeNumberOrPax(header, "size", entry.type === "file" ? entry.size : 0, pax);
  writeTime(header, entry.mtime, pax);
  writeNumber(header, "devMajor", BigInt(entry.devMajor ?? 0));
  writeNumber(header, "devMinor", BigInt(entry.devMinor ?? 0));
  for (const [key, value] of entry.xattrs ?? []) pax.set(xattrToKeyword(key), value);
  seal(header, typeFlags[entry.type]);
  return pax.size === 0 ? header : Buffer.concat([...paxBlocks(pax, entry), header]);
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

function writeLink(header: Buffer, entry: LayerEntry, pax: Map<string, string | Buffer>): void {
  const [start, length] = fields.linkName;
  const target = entry.linkTarget ?? none;
  if (target.length > length) pax.set("linkpath", target);
  target.copy(header, start, 0, length);
}

function writeNumberOrPax(
  header: Buffer,
  field: "uid" | "gid" | "size",
  value: number,
  pax: Map<string, string | Buffer>,
): void {
  if (writeNumber(header, field, BigInt(value))) return;
  pax.set(field, String(value));
  writeNumber(header, field, 0n);
}

function writeTime(header: Buffer, mtime: bigint, pax: Map<string, string | Buffer>): void {
  const { seconds, exact } = wholeSeconds(mtime);
  const fits = seconds >= 0n && writeNumber(header, "mtime", seconds);
  if (!fits) writeNumber(header, "mtime", 0n);
  if (!fits || !exact) pax.set("mtime", formatPaxTime(mtime));
}

/** Zero-padded octal with a final NUL; false, with nothing written, when it does not fit. */
function writeNumber(header: Buffer, field: FieldName, value: bigint): boolean {
  const [start, length] = fields[field];
  const digits = value.toString(8);
  if (digits.length > length - 1) return false;
  header.write(digits.padStart(length - 1, "0"), start, "latin1");
  return true;
}

function seal(header: Buffer, flag: string): void {
  header.write(flag, fields.type[0], "latin1");
  header.write("ustar\x0000", fields.magic[0], "latin1");
  const [start, length] = fields.checksum;
  header.fill(0x20, start, start + length);
  let sum = 0;
  for (let index = 0; index < blockSize; index++) sum += header[index] ?? 0;
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, start, "latin1");
}

/** The name of a PAX header matters to nobody; it says whose it is, and must not depend on anything else. */
function paxBlocks(pax: ReadonlyMap<string, string | Buffer>, entry: LayerEntry): Buffer[] {
  const content = formatPax(pax);
  const header = Buffer.alloc(blockSize);
  const name = rootPathToString(entry.path)
    .replace(/[^\x21-\x7e]/g, "_")
    .slice(-80);
  header.write(`PaxHeaders.0/${name}`, fields.name[0], fields.name[1], "latin1");
  writeNumber(header, "mode", 0o644n);
  for (const field of ["uid", "gid", "mtime", "devMajor", "devMinor"] as const)
    writeNumber(header, field, 0n);
  writeNumber(header, "size", BigInt(content.length));
  seal(header, "x");
  return [header, content, Buffer.alloc(paddingOf(content.length))];
}
