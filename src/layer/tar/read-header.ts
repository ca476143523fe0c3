import { layerError } from "../errors.ts";
import { rootPathToString, toRootPath } from "../paths.ts";
import type { LayerEntry, NodeType } from "../types.ts";
import { blockSize, type FieldName, fields, keywordToXattr } from "./format.ts";
import { parseNumber, parsePaxTime, secondsToTime } from "./numbers.ts";

/** What preceded an entry's own header. */
export interface Extensions {
  readonly pax: ReadonlyMap<string, Buffer>;
  readonly longName?: Buffer;
  readonly longLink?: Buffer;
}

const nodeTypes: Readonly<Record<string, NodeType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
};

const maxPathLength = 4095;
const maxId = 0xffff_ffff;

export function typeFlag(header: Buffer): string {
  return String.fromCharCode(header[fields.type[0]] ?? 0);
}

export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock);
}

const zeroBlock = Buffer.alloc(blockSize);

/**
 * Bytes of content that follow the header.
 * @throws LAYER_HEADER_INVALID
 */
export function contentSize(header: Buffer, pax: ReadonlyMap<string, Buffer> = new Map()): number {
  const flag = typeFlag(header);
  // Links, devices and directories have none whatever their size says (bsdtar, old tars; Go reads them so too).
  if (flag !== "\0" && "123456".includes(flag)) return 0;
  const size = pax.get("size");
  const value = size === undefined ? numberField(header, "size") : parseDecimal("size", size);
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidField("size", header);
  return Number(value);
}

/** @throws LAYER_HEADER_INVALID unless the block's checksum is right */
export function verifyChecksum(header: Buffer): void {
  const [start, length] = fields.checksum;
  const expected = parseNumber(header.subarray(start, start + length));
  // Blanks stand for the field itself while summing.
  const blanks = length * 0x20;
  let sum = blanks;
  for (let index = 0; index < blockSize; index++) sum += header[index] ?? 0;
  for (let index = start; index < start + length; index++) sum -= header[index] ?? 0;
  if (expected === BigInt(sum) || expected === BigInt(signedSum(header))) return;
  throw layerError("LAYER_HEADER_INVALID", "read tar header: wrong checksum", {
    hint: "this is not a tar archive, or it is damaged",
  });
}

/** Some historic tars summed signed characters. */
function signedSum(header: Buffer): number {
  const [start, length] = fields.checksum;
  let sum = length * 0x20;
  for (let index = 0; index < blockSize; index++) {
    if (index < start || index >= start + length) sum += header.readInt8(index);
  }
  return sum;
}

/** @throws LAYER_HEADER_INVALID, LAYER_PATH_ESCAPES, LAYER_PATH_INVALID, LAYER_ENTRY_UNSUPPORTED naming the entry */
export function readHeader(header: Buffer, { pax, longName, longLink }: Extensions): LayerEntry {
  const name = paxValue(pax, "path") ?? longName ?? headerName(header);
  const flag = typeFlag(header);
  // Before ustar a directory was a file whose name ends in a slash.
  const isOldDirectory = flag === "\0" && name.at(-1) === 0x2f;
  const type = isOldDirectory ? "directory" : nodeTypes[flag];
  if (type === undefined || isSparse(pax)) throw unsupported(name, flag);
  const path = memberPath(name, name);
  const link = paxValue(pax, "linkpath") ?? longLink ?? textField(header, "linkName");
  const xattrs = xattrsOf(pax);
  return {
    path,
    type,
    mode: Number(numberField(header, "mode") & 0o7777n),
    uid: idField(header, pax, "uid"),
    gid: idField(header, pax, "gid"),
    mtime: modificationTime(header, pax),
    size: type === "file" ? contentSize(header, pax) : 0,
    ...(type === "symlink" ? { linkTarget: Buffer.from(link) } : {}),
    ...(type === "hardlink" ? { linkTarget: memberPath(link, name) } : {}),
    ...(type === "char-device" || type === "block-device" ? deviceNumbers(header) : {}),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}

/** The name as told in errors, before anything about the entry was checked. */
export function entryLabel(header: Buffer, { pax, longName }: Extensions): string {
  return rootPathToString(paxValue(pax, "path") ?? longName ?? headerName(header));
}

/** An own copy, so that a path that is kept does not keep the whole chunk it was read in. */
function memberPath(path: Buffer, entry: Buffer): Buffer {
  if (path.length > maxPathLength) throw badPath("LAYER_PATH_INVALID", "the name is too long");
  try {
    return toRootPath(Buffer.from(path));
  } catch (error) {
    throw badPath("LAYER_PATH_ESCAPES", `${rootPathToString(path)} is no path inside it`, error);
  }

  function badPath(
    code: "LAYER_PATH_INVALID" | "LAYER_PATH_ESCAPES",
    why: string,
    cause?: unknown,
  ) {
    const label = rootPathToString(entry.subarray(0, 256));
    return layerError(code, `read layer entry ${label}: ${why}`, {
      hint: "the archive is hostile or broken; do not use it",
      details: { entry: label, path: rootPathToString(path.subarray(0, 256)) },
      cause,
    });
  }
}

function headerName(header: Buffer): Buffer {
  const name = textField(header, "name");
  // GNU's magic is "ustar  \0"; it keeps times where POSIX has the prefix.
  if (header.toString("latin1", 257, 263) !== "ustar\0") return name;
  // star marks its own headers at the end and ends its prefix earlier, for two more times.
  const isStar = header.toString("latin1", 508, 512) === "tar\0";
  const prefix = untilNul(header.subarray(345, isStar ? 476 : 500));
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]);
}

function textField(header: Buffer, field: FieldName): Buffer {
  const [start, length] = fields[field];
  return untilNul(header.subarray(start, start + length));
}

export function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function numberField(header: Buffer, field: FieldName): bigint {
  const [start, length] = fields[field];
  const value = parseNumber(header.subarray(start, start + length));
  if (value === undefined) throw invalidField(field, header);
  return value;
}

/** An empty value takes the record back, so that the header's own field counts. */
function paxValue(pax: ReadonlyMap<string, Buffer>, keyword: string): Buffer | undefined {
  const value = pax.get(keyword);
  return value === undefined || value.length === 0 ? undefined : value;
}

function idField(header: Buffer, pax: ReadonlyMap<string, Buffer>, field: "uid" | "gid"): number {
  const record = paxValue(pax, field);
  const value = record === undefined ? numberField(header, field) : parseDecimal(field, record);
  if (value < 0n || value > BigInt(maxId)) throw invalidField(field, header);
  return Number(value);
}

function modificationTime(header: Buffer, pax: ReadonlyMap<string, Buffer>): bigint {
  const record = paxValue(pax, "mtime");
  if (record === undefined) return secondsToTime(numberField(header, "mtime"));
  const time = parsePaxTime(record.toString("latin1"));
  if (time === undefined) throw invalidField("mtime", header);
  return time;
}

function deviceNumbers(header: Buffer): { devMajor: number; devMinor: number } {
  return {
    devMajor: Number(numberField(header, "devMajor")),
    devMinor: Number(numberField(header, "devMinor")),
  };
}

function xattrsOf(pax: ReadonlyMap<string, Buffer>): Map<string, Buffer> | undefined {
  let xattrs: Map<string, Buffer> | undefined;
  for (const [keyword, value] of pax) {
    const name = keywordToXattr(keyword);
    if (name === undefined) continue;
    xattrs ??= new Map();
    xattrs.set(name, Buffer.from(value));
  }
  return xattrs;
}

function isSparse(pax: ReadonlyMap<string, Buffer>): boolean {
  return pax.has("GNU.sparse.major") || pax.has("GNU.sparse.size") || pax.has("GNU.sparse.map");
}

function parseDecimal(field: FieldName, value: Buffer): bigint {
  const text = value.toString("latin1");
  if (/^-?\d{1,19}$/.test(text)) return BigInt(text);
  throw layerError("LAYER_HEADER_INVALID", `read PAX header: ${field} is not a number`, {
    details: { field, found: text.slice(0, 40) },
  });
}

function invalidField(field: string, header: Buffer): Error {
  const entry = rootPathToString(headerName(header));
  return layerError("LAYER_HEADER_INVALID", `read layer entry ${entry}: unusable field ${field}`, {
    details: { entry, field },
  });
}

function unsupported(name: Buffer, flag: string): Error {
  const entry = rootPathToString(name);
  const kind = flag === "S" || flag === "0" ? "sparse files" : `entries of type ${flag}`;
  return layerError("LAYER_ENTRY_UNSUPPORTED", `read layer entry ${entry}: no ${kind} in layers`, {
    hint: "write the archive again without that, for example without tar's --sparse",
    details: { entry, typeFlag: flag },
  });
}
