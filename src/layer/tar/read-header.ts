import { layerError } from "../errors.ts";
import { toRootPath } from "../paths.ts";
import { showName } from "../tell-entry.ts";
import type { LayerEntry, NodeType } from "../types.ts";
import { blockSize, type FieldName, fields, keywordToXattr } from "./format.ts";
import { parseNumber, parsePaxTime, secondsToTime } from "./numbers.ts";

/** What preceded an entry's own header. */
export interface Extensions {
  readonly pax: ReadonlyMap<string, Buffer>;
  /** The records of `pax` as they were read. */
  readonly paxContent?: Buffer;
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

/** What the kernel takes, without the NUL at the end. */
const maxPathLength = 4095;
/** One more means "leave it as it is" to chown(2). */
const maxId = 0xffff_fffe;
/** The kernel's device numbers; larger ones would become others, 0:0 among them, which means a removal. */
const maxDevice = { devMajor: 0xfff, devMinor: 0xf_ffff } as const;
const maxSeconds = 2n ** 63n;

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
export function contentSize(header: Buffer, extensions: Extensions): number {
  const flag = typeFlag(header);
  // Links, devices and directories have none whatever their size says (bsdtar, old tars; Go reads them so too).
  if (flag !== "\0" && "123456".includes(flag)) return 0;
  const size = paxValue(extensions.pax, "size");
  const value = size === undefined ? numberField(header, "size") : parseDecimal(size);
  if (value === undefined || value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalidField("size", entryLabel(header, extensions));
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
export function readHeader(header: Buffer, extensions: Extensions): LayerEntry {
  const { pax, longName, longLink } = extensions;
  const name = paxValue(pax, "path") ?? longName ?? headerName(header);
  const flag = typeFlag(header);
  // Before ustar a directory was a file whose name ends in a slash.
  const isOldDirectory = flag === "\0" && name.at(-1) === 0x2f;
  const type = isOldDirectory ? "directory" : nodeTypes[flag];
  if (type === undefined) throw unsupported(header, extensions);
  const path = memberPath(name, name);
  if (path.length === 0 && type !== "directory")
    throw badPath("only a directory has no name", name);
  const link = paxValue(pax, "linkpath") ?? longLink ?? textField(header, "linkName");
  const xattrs = xattrsOf(pax);
  return {
    path,
    type,
    mode: modeField(header, extensions),
    uid: idField(header, extensions, "uid"),
    gid: idField(header, extensions, "gid"),
    mtime: modificationTime(header, extensions),
    size: type === "file" ? contentSize(header, extensions) : 0,
    ...(type === "symlink" ? { linkTarget: symlinkTarget(link, name) } : {}),
    ...(type === "hardlink" ? { linkTarget: memberPath(link, name) } : {}),
    ...(type === "char-device" || type === "block-device" ? deviceNumbers(header, extensions) : {}),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}

/** The name as told in errors, before anything about the entry was checked. */
export function entryLabel(header: Buffer, { pax, longName }: Extensions): string {
  return showName(paxValue(pax, "path") ?? longName ?? headerName(header));
}

/** An own copy, so that a path that is kept does not keep the whole chunk it was read in. */
function memberPath(path: Buffer, entry: Buffer): Buffer {
  if (path.length > maxPathLength) throw badPath("the name is too long", entry);
  if (path.includes(0)) throw badPath("no name holds a NUL byte", entry);
  try {
    return toRootPath(Buffer.from(path));
  } catch (cause) {
    const [label, shown] = [showName(entry), showName(path)];
    throw layerError(
      "LAYER_PATH_ESCAPES",
      `read layer entry ${label}: ${shown} is no path inside it`,
      { hint: hostileHint, details: { entry: label, path: shown }, cause },
    );
  }
}

/** Verbatim, wherever it leads. */
function symlinkTarget(target: Buffer, entry: Buffer): Buffer {
  if (target.length === 0) throw badPath("a symlink to nothing", entry);
  if (target.length > maxPathLength) throw badPath("what it leads to is too long a path", entry);
  if (target.includes(0)) throw badPath("no path holds a NUL byte", entry);
  return Buffer.from(target);
}

const hostileHint = "the archive is hostile or broken; do not use it";

function badPath(why: string, name: Buffer): Error {
  const entry = showName(name);
  return layerError("LAYER_PATH_INVALID", `read layer entry ${entry}: ${why}`, {
    hint: hostileHint,
    details: { entry },
  });
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

function numberField(header: Buffer, field: FieldName): bigint | undefined {
  const [start, length] = fields[field];
  return parseNumber(header.subarray(start, start + length));
}

/** An empty value takes the record back, so that the header's own field counts. */
export function paxValue(pax: ReadonlyMap<string, Buffer>, keyword: string): Buffer | undefined {
  const value = pax.get(keyword);
  return value === undefined || value.length === 0 ? undefined : value;
}

function modeField(header: Buffer, extensions: Extensions): number {
  const mode = numberField(header, "mode");
  if (mode === undefined) throw invalidField("mode", entryLabel(header, extensions));
  return Number(mode & 0o7777n);
}

function idField(header: Buffer, extensions: Extensions, field: "uid" | "gid"): number {
  const record = paxValue(extensions.pax, field);
  const value = record === undefined ? numberField(header, field) : parseDecimal(record);
  if (value === undefined || value < 0n || value > BigInt(maxId))
    throw invalidField(field, entryLabel(header, extensions));
  return Number(value);
}

function modificationTime(header: Buffer, extensions: Extensions): bigint {
  const record = paxValue(extensions.pax, "mtime");
  const seconds = record === undefined ? numberField(header, "mtime") : undefined;
  const time =
    record === undefined
      ? seconds && secondsToTime(seconds)
      : parsePaxTime(record.toString("latin1"));
  const limit = secondsToTime(maxSeconds);
  if (time === undefined || time >= limit || time < -limit)
    throw invalidField("mtime", entryLabel(header, extensions));
  return time;
}

function deviceNumbers(
  header: Buffer,
  extensions: Extensions,
): { devMajor: number; devMinor: number } {
  const number = (field: "devMajor" | "devMinor"): number => {
    const value = numberField(header, field);
    if (value === undefined || value < 0n || value > BigInt(maxDevice[field]))
      throw invalidField(field, entryLabel(header, extensions));
    return Number(value);
  };
  return { devMajor: number("devMajor"), devMinor: number("devMinor") };
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

/** undefined for what is no number. */
function parseDecimal(value: Buffer): bigint | undefined {
  const text = value.subarray(0, 20).toString("latin1");
  return value.length <= 20 && /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}

function invalidField(field: string, entry: string): Error {
  return layerError("LAYER_HEADER_INVALID", `read layer entry ${entry}: unusable field ${field}`, {
    hint: "the archive is hostile or broken; get or make it again",
    details: { entry, field },
  });
}

/** LAYER_ENTRY_UNSUPPORTED: for its type, or for what it is sparse by where the type is one that is taken. */
export function unsupported(header: Buffer, extensions: Extensions): Error {
  const [entry, flag] = [entryLabel(header, extensions), typeFlag(header)];
  const isFile = flag === "S" || nodeTypes[flag] !== undefined;
  const kind = isFile ? "sparse files of this format" : `entries of type ${flag}`;
  return layerError("LAYER_ENTRY_UNSUPPORTED", `read layer entry ${entry}: no ${kind} in layers`, {
    hint: "write the archive again without that, or with GNU tar",
    details: { entry, typeFlag: flag },
  });
}
