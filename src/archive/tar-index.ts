import type { FileHandle } from "node:fs/promises";
import { archiveError } from "./errors.ts";
import { lookAtSparse, type SparseMember } from "./sparse-member.ts";

/** Where one member of a tar lies in its file. */
export interface TarMember {
  readonly type: "file" | "directory" | "link" | "symlink" | "other";
  /** Offset of the content in bytes. */
  readonly start: number;
  readonly size: number;
  /** Target of a link as it stands there. */
  readonly target: string;
  /** Where all of it lies, headers included, when its holes are not stored. */
  readonly sparse?: SparseMember;
}

const blockSize = 512;
/** Names and PAX records longer than this are an attack, in bytes. */
const maxExtension = 1024 * 1024;
const maxMembers = 200_000;

/**
 * Finds the members of a tar file by their headers alone, so that each can be read on its own: an image's documents
 * usually stand behind its layers, and streaming readers (tar-stream too) do not tell where a member lies. Keys are
 * names without leading `./` and `/`; of several members with one name the last one counts, as for every reader.
 * @throws ARCHIVE_TRUNCATED, ARCHIVE_INVALID
 */
export async function indexTar(
  file: FileHandle,
  label: string,
): Promise<ReadonlyMap<string, TarMember>> {
  const members = new Map<string, TarMember>();
  const { size: end } = await file.stat();
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await file.read(bytes, 0, Math.min(length, end - offset), offset);
    if (offset + length <= end) return bytes;
    // A header fills its fields up with zeros; a short text has none.
    if (offset === 0 && !bytes.subarray(0, bytesRead).includes(0)) throw notTar(label);
    throw truncated(label);
  };
  let next: Extensions = {};
  /** Where the headers of the next member begin. */
  let first = 0;
  for (let offset = 0; offset < end;) {
    const header = await read(offset, blockSize);
    // An empty block is the end; what stands behind it is padding.
    if (header.every((byte) => byte === 0)) break;
    checkSum(header, label, offset);
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtension = "xgLK".includes(type);
    const own = readNumber(header.subarray(124, 136));
    const size = isExtension ? own : (next.size ?? own);
    let start = offset + blockSize;
    // Blocks that go on with the map of a sparse file lie behind its header, and its size does not count them.
    if (type === "S" && header[482] !== 0)
      while ((await read((start += blockSize) - blockSize, blockSize))[504] !== 0);
    const isBare = ["1", "2", "3", "4", "5", "6"].includes(type);
    const stored = isBare ? 0 : size;
    // A negative size would lead back, and round and round.
    if (!(stored >= 0)) throw invalid(label, `unusable size at byte ${String(offset)}`);
    if (!Number.isSafeInteger(stored) || start + stored > end) throw truncated(label);
    offset = start + Math.ceil(stored / blockSize) * blockSize;
    if (offset > end) throw truncated(label);
    if (isExtension) {
      if (stored > maxExtension) throw invalid(label, "a header is too large");
      next = { ...next, ...readExtension(type, await read(start, stored)) };
      continue;
    }
    if (type === "S" || next.isSparse === true) {
      const sparse = { start: first, end: offset };
      const real = await lookAtSparse(file, sparse);
      if (real === undefined) throw truncated(label);
      const { name, size: realSize } = real;
      members.set(name, { type: "file", start, size: realSize, target: "", sparse });
    } else {
      const name = cleanName(next.path ?? readName(header));
      const target = next.linkpath ?? readText(header.subarray(157, 257));
      members.set(name, { type: memberType(type), start, size: stored, target });
    }
    if (members.size > maxMembers) throw invalid(label, "it has too many members");
    next = {};
    first = offset;
  }
  return members;
}

/** What extension headers say about the member that follows them. */
interface Extensions {
  readonly path?: string;
  readonly linkpath?: string;
  readonly size?: number;
  readonly isSparse?: boolean;
}

function readExtension(type: string, bytes: Buffer): Extensions {
  switch (type) {
    case "L":
      return { path: readText(bytes) };
    case "K":
      return { linkpath: readText(bytes) };
    case "x":
      return readPax(bytes);
    default:
      // Global headers carry comments, such as git's commit.
      return {};
  }
}

/** Records of the form `<length> <key>=<value>\n`, where the length counts the whole record in bytes. */
function readPax(bytes: Buffer): Extensions {
  const found: { path?: string; linkpath?: string; size?: number; isSparse?: boolean } = {};
  for (let offset = 0; offset < bytes.length;) {
    const space = bytes.indexOf(0x20, offset);
    const length = Number(bytes.toString("latin1", offset, Math.max(space, offset)));
    if (space < 0 || !Number.isInteger(length) || length <= 0) break;
    const record = bytes.toString("utf8", space + 1, offset + length - 1);
    const equals = record.indexOf("=");
    const value = record.slice(equals + 1);
    const keyword = record.slice(0, equals);
    if (keyword.startsWith("GNU.sparse.")) found.isSparse = true;
    switch (keyword) {
      case "path":
        found.path = value;
        break;
      case "linkpath":
        found.linkpath = value;
        break;
      case "size":
        found.size = /^\d+$/.test(value) ? Number(value) : Number.NaN;
        break;
    }
    offset += length;
  }
  return found;
}

function memberType(type: string): TarMember["type"] {
  switch (type) {
    case "0":
    case "\0":
    case "7":
      return "file";
    case "1":
      return "link";
    case "2":
      return "symlink";
    case "5":
      return "directory";
    default:
      return "other";
  }
}

function readName(header: Buffer): string {
  const name = readText(header.subarray(0, 100));
  // Only POSIX tars have a prefix; GNU's keep times there.
  const isPosix = header.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? readText(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Names are keys here and never paths on this machine, so that `..` in them can do no harm. */
function cleanName(name: string): string {
  return name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

function readText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}

/** Octal digits, or base 256 when the first bit is set, as GNU tar writes large numbers. */
function readNumber(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) {
    const digits = readText(field).trim();
    return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : digits === "" ? 0 : Number.NaN;
  }
  return field.subarray(1).reduce((value, byte) => value * 256 + byte, (field[0] ?? 0) & 0x7f);
}

function checkSum(header: Buffer, label: string, offset: number): void {
  const told = readNumber(header.subarray(148, 156));
  // The checksum is made over a header whose checksum field is blank.
  const sum = header.reduce(
    (total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte),
    0,
  );
  if (sum === told) return;
  throw offset === 0 ? notTar(label) : invalid(label, `damaged at byte ${String(offset)}`);
}

function truncated(label: string): Error {
  return archiveError("ARCHIVE_TRUNCATED", `read archive ${label}: it ends in the middle`, {
    hint: "the file is incomplete; save or copy it again",
    details: { path: label },
  });
}

function notTar(label: string): Error {
  return invalid(label, "it is no tar");
}

function invalid(label: string, reason: string): Error {
  return archiveError("ARCHIVE_INVALID", `read archive ${label}: ${reason}`, {
    details: { path: label },
  });
}
