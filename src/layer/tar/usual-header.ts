import type { LayerEntry } from "../types.ts";
import { blockSize, fields } from "./format.ts";

/** The longest of these headers: a PAX header, its record, and the header itself. */
export const usualHeaderSize = 3 * blockSize;

const [recordAt, headerAt] = [blockSize, 2 * blockSize];
const [blank, dot, slash, digit0, newline] = [0x20, 0x2e, 0x2f, 0x30, 0x0a];
const typeFlags = { file: 0x30, directory: 0x35, extended: 0x78 } as const;
const [largestOf8, largestOf12] = [0o7777777, 0o77777777777];
const nanosecondsPerSecond = 1_000_000_000n;
const timesEnd = BigInt(largestOf12 + 1) * nanosecondsPerSecond;
const [paxNameStart, paxNameLength] = ["PaxHeaders.0/".length, 80];

/**
 * All blocks of the last header, but for the names and the check sums. Most headers differ from the one before in little,
 * and what is the same is neither written nor added up again.
 */
const blocks = Buffer.alloc(usualHeaderSize);
const plainBlock = blocks.subarray(headerAt);
/** What stands in `blocks`. */
const last = { flag: 0, mode: -1, uid: -1, gid: -1, size: -1, seconds: -1, paxSize: -1 };
/** Sums of the bytes of the PAX header and of the header, check sums taken as blanks. */
const sums = { pax: 0, plain: 0 };

begin();

function begin(): void {
  for (const start of [0, headerAt]) {
    blocks.write("ustar\x0000", start + fields.magic[0], "latin1");
    // What is not set for each header.
    for (const field of ["mode", "uid", "gid", "size", "mtime", "devMajor", "devMinor"] as const)
      writeOctal(start + fields[field][0], fields[field][1] - 1, 0);
    const [checksum, length] = fields.checksum;
    blocks.fill(blank, start + checksum, start + checksum + length);
  }
  blocks.write("PaxHeaders.0/", fields.name[0], "latin1");
  writeOctal(fields.mode[0], 7, 0o644);
  blocks[fields.type[0]] = typeFlags.extended;
  blocks.write(" mtime=", recordAt + 2, "latin1");
  for (let at = 0; at < blockSize; at++) {
    sums.pax += blocks[at] ?? 0;
    sums.plain += blocks[headerAt + at] ?? 0;
  }
}

/** What the header of a file or of a directory tells; of a file's time whole seconds, and nanoseconds behind them. */
export interface UsualNode {
  readonly type: "file" | "directory";
  readonly path: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly seconds: number;
  readonly nanoseconds: number;
}

/**
 * Writes what `formatHeader` gives for most entries: a file or a directory without attributes, of which a PAX header tells the
 * time and nothing else. Answers its length; 0 for any other entry, and then what stands at the place is of no meaning.
 * There is room for `usualHeaderSize` at `at`.
 */
export function writeUsualHeader(entry: LayerEntry, target: Buffer, at: number): number {
  const { path, type, mode, uid, gid, size, mtime } = entry;
  if ((type !== "file" && type !== "directory") || !isUsual(entry)) return 0;
  const seconds = Number(mtime / nanosecondsPerSecond);
  const nanoseconds = Number(mtime % nanosecondsPerSecond);
  return writeUsualNode({ type, path, mode, uid, gid, size, seconds, nanoseconds }, target, at);
}

/** The same for what has no attributes and a time from 1970 on. */
export function writeUsualNode(node: UsualNode, target: Buffer, at: number): number {
  const { path, seconds, nanoseconds } = node;
  if (!hasUsualNumbers(node)) return 0;
  setNumbers(node);
  const isPlain = nanoseconds === 0;
  if (isPlain) target.set(plainBlock, at);
  else {
    writeRecord(seconds, nanoseconds);
    target.set(blocks, at);
    const sum = writePaxName(path, { target, at: at + paxNameStart });
    if (sum === 0) return 0;
    writeChecksum(sums.pax + sum, { target, at });
  }
  const start = isPlain ? at : at + headerAt;
  const sum = writeName(node, { target, at: start });
  if (sum === 0) return 0;
  writeChecksum(sums.plain + sum, { target, at: start });
  return isPlain ? blockSize : usualHeaderSize;
}

function isUsual(entry: LayerEntry): boolean {
  const { mtime } = entry;
  if (entry.linkTarget !== undefined || (entry.xattrs?.size ?? 0) > 0) return false;
  if ((entry.devMajor ?? 0) !== 0 || (entry.devMinor ?? 0) !== 0) return false;
  return mtime >= 0n && mtime < timesEnd;
}

function hasUsualNumbers({ path, mode, uid, gid, size }: UsualNode): boolean {
  if (path.length === 0 || size > largestOf12) return false;
  return mode <= largestOf8 && uid <= largestOf8 && gid <= largestOf8;
}

function setNumbers({ type, mode, uid, gid, size: bytes, seconds }: UsualNode): void {
  const isFile = type === "file";
  const flag = isFile ? typeFlags.file : typeFlags.directory;
  const size = isFile ? bytes : 0;
  if (flag !== last.flag) {
    sums.plain += flag - last.flag;
    plainBlock[fields.type[0]] = last.flag = flag;
  }
  if (mode !== last.mode)
    sums.plain += writeOctal(headerAt + fields.mode[0], 7, (last.mode = mode));
  if (uid !== last.uid) sums.plain += writeOctal(headerAt + fields.uid[0], 7, (last.uid = uid));
  if (gid !== last.gid) sums.plain += writeOctal(headerAt + fields.gid[0], 7, (last.gid = gid));
  if (size !== last.size)
    sums.plain += writeOctal(headerAt + fields.size[0], 11, (last.size = size));
  if (seconds !== last.seconds)
    sums.plain += writeOctal(headerAt + fields.mtime[0], 11, (last.seconds = seconds));
}

/** Writes `digits` octal digits into `blocks`, and answers by how much the sum of the bytes grew. */
function writeOctal(start: number, digits: number, value: number): number {
  let grown = 0;
  let rest = value;
  for (let at = start + digits - 1; at >= start; at--) {
    const higher = Math.floor(rest / 8);
    const byte = digit0 + rest - 8 * higher;
    grown += byte - (blocks[at] ?? 0);
    blocks[at] = byte;
    rest = higher;
  }
  return grown;
}

/** The record `<length> mtime=<seconds>.<fraction>\n`; its length always has two digits. */
function writeRecord(seconds: number, nanoseconds: number): void {
  let [fraction, digits] = [nanoseconds, 9];
  for (; fraction % 10 === 0; digits--) fraction /= 10;
  const point = recordAt + 2 + " mtime=".length + String(seconds).length;
  const end = point + digits + 1;
  writeDecimal(point - 1, seconds);
  for (let at = point + 1; at < end; at++) blocks[at] = digit0;
  writeDecimal(end - 1, fraction);
  blocks[point] = dot;
  blocks[end] = newline;
  const size = end + 1 - recordAt;
  if (size === last.paxSize) return;
  blocks.fill(0, end + 1, headerAt);
  writeDecimal(recordAt + 1, size);
  sums.pax += writeOctal(fields.size[0], 11, (last.paxSize = size));
}

/** The last digit stands at `end`. */
function writeDecimal(end: number, value: number): void {
  let [rest, at] = [value, end];
  do {
    const higher = Math.floor(rest / 10);
    blocks[at--] = digit0 + rest - 10 * higher;
    rest = higher;
  } while (rest > 0);
}

interface Place {
  readonly target: Buffer;
  readonly at: number;
}

/** The end of the path, as long as it is printable ASCII; the sum of its bytes, or 0. */
function writePaxName(path: Buffer, { target, at }: Place): number {
  const skipped = Math.max(path.length - paxNameLength, 0);
  let sum = 0;
  for (let index = skipped; index < path.length; index++) {
    const byte = path[index] ?? 0;
    if (byte < 0x21 || byte > 0x7e) return 0;
    target[at + index - skipped] = byte;
    sum += byte;
  }
  return sum;
}

/** The name, in two parts if need be; the sum of its bytes, or 0 when it does not fit. */
function writeName({ path, type }: UsualNode, { target, at }: Place): number {
  const isDirectory = type === "directory";
  const length = path.length + (isDirectory ? 1 : 0);
  const [nameLength, prefixLength] = [fields.name[1], fields.prefix[1]];
  let base = 0;
  let sum = 0;
  if (length > nameLength) {
    // As it is cut there, a longer one cannot be.
    if (length > nameLength + 1 + prefixLength) return 0;
    base = path.lastIndexOf(slash, Math.min(prefixLength, length - 2)) + 1;
    if (base <= 1 || length - base > nameLength) return 0;
    for (let index = 0; index < base - 1; index++) {
      const byte = path[index] ?? 0;
      target[at + fields.prefix[0] + index] = byte;
      sum += byte;
    }
  }
  for (let index = base; index < path.length; index++) {
    const byte = path[index] ?? 0;
    target[at + index - base] = byte;
    sum += byte;
  }
  if (!isDirectory) return sum;
  target[at + path.length - base] = slash;
  return sum + slash;
}

/** Six digits, a NUL, a blank. */
function writeChecksum(sum: number, { target, at }: Place): void {
  const start = at + fields.checksum[0];
  for (let index = 5, rest = sum; index >= 0; index--, rest >>= 3)
    target[start + index] = digit0 + (rest & 7);
  target[start + 6] = 0;
}
