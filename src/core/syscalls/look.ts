import { type BigIntStats, constants, fstatSync, lstatSync } from "node:fs";
import { syscallError } from "./errors.ts";
import { type Library, passingBytes, passingPath, textOfBytes } from "./library.ts";
import { PlainFiles, versionLength } from "../plain-files.ts";
import type { FileStat, FileType, Syscalls } from "./types.ts";

type LookCalls = Pick<
  Syscalls,
  | "lstat"
  | "lstatBytes"
  | "fstat"
  | "listNames"
  | "listDirectory"
  | "openReal"
  | "plainFiles"
  | "readPlainFile"
>;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;

/**
 * Calls that only look. Node has them, but makes four dates and some twenty other objects for each answer: of 7 µs for a
 * file in the kernel's cache that is half.
 */
export function lookCalls(library: Library): LookCalls {
  const statx = library.ask("statx", ["n", "p", "n", "n", "p"]);
  const getdents = library.define("getdents64", ["n", "p", "n"]);
  const openat2 = library.ask("openat2", ["n", "p", "p", "n"]);
  const llistxattr = library.ask("llistxattr", ["p", "p", "n"]);
  const pread = library.ask("pread64", ["n", "p", "n", "n"]);
  const close = library.ask("close", ["n"]);
  /** Before Linux 4.11, or forbidden by a seccomp profile of that time. */
  let isRefused = false;

  /** The errno's name where the kernel tells nothing. What it means, Node's own call tells. */
  const look = (at: number, path: Buffer, flags: number): FileStat | string => {
    if (isRefused) return "ENOSYS";
    const answer = statx([at, path, flags, STATX_BASIC_STATS, answerBytes]);
    if (answer === 0) return readAnswer();
    if (answer === "ENOSYS" || answer === "EPERM") isRefused = true;
    return String(answer);
  };

  const listNames: Syscalls["listNames"] = (fd, { without = [] } = {}) => {
    const names: string[] = [];
    for (;;) {
      const length = getdents([fd, entries, entries.length]);
      if (length === 0) return names;
      addNames(names, { length, without });
    }
  };

  const open = (path: string, how: Uint8Array): number => {
    const fd = openat2([AT_FDCWD, passingBytes(path), how, how.length]);
    if (typeof fd === "number") return fd;
    throw syscallError({ syscall: "openat2", errno: fd, path: textOfBytes(path) });
  };

  return {
    lstat: (path) => {
      const found = look(AT_FDCWD, passingPath(path), AT_SYMLINK_NOFOLLOW);
      if (typeof found === "object") return found;
      return found === "ENOENT" ? undefined : lstatOfNode(path);
    },
    lstatBytes: (path) => {
      const found = look(AT_FDCWD, passingBytes(path), AT_SYMLINK_NOFOLLOW);
      if (typeof found === "object") return found;
      return found === "ENOENT" ? undefined : lstatOfNode(Buffer.from(path, "latin1"));
    },
    fstat: (fd) => {
      const found = look(fd, noPath, AT_EMPTY_PATH);
      return typeof found === "object" ? found : fileStat(fstatSync(fd, { bigint: true }));
    },
    listNames,
    listDirectory: (path, options) => {
      const fd = open(path, asDirectory);
      try {
        return listNames(fd, options);
      } finally {
        close([fd]);
      }
    },
    openReal: (path) => open(path, asFile),
    // One loop for all: it is optimized early in a command, where ten functions that are called for each file are late.
    plainFiles: (directory, names, { start, most, bytes, isOneOwner }) => {
      const files = new PlainFiles(directory, Math.max(0, Math.min(most, names.length - start)));
      const base = directory.length;
      if (isRefused || base >= pathPlace.length) return files;
      pathPlace.set(directory);
      let left = bytes;
      for (let index = start; index < names.length && files.names.length < most; index++) {
        const name = names.at(index) ?? noPath;
        const end = base + name.length;
        if (end >= pathPlace.length) break;
        pathPlace.set(name, base);
        pathPlace[end] = 0;
        const looked = statx([
          AT_FDCWD,
          pathPlace,
          AT_SYMLINK_NOFOLLOW,
          STATX_BASIC_STATS,
          answerBytes,
        ]);
        if (looked !== 0 || !isOneFile()) break;
        left -= answeredSize();
        if (left < 0 || (isOneOwner && !isOwnerOf(files))) break;
        const attributes = llistxattr([pathPlace, null, 0]);
        if (attributes !== 0 && attributes !== "EOPNOTSUPP") break;
        addAnswered(files, name);
      }
      return files;
    },
    readPlainFile: (path, content, { versions, index }) => {
      const fd = openat2([AT_FDCWD, path, asFile, asFile.length]);
      if (typeof fd !== "number") return false;
      try {
        for (let at = 0; at < content.length;) {
          const rest = at === 0 ? content : content.subarray(at);
          const count = pread([fd, rest, rest.length, at]);
          if (typeof count !== "number" || count === 0) return false;
          at += count;
        }
        const looked = statx([fd, noPath, AT_EMPTY_PATH, STATX_BASIC_STATS, answerBytes]);
        if (looked !== 0 || answeredSize() !== content.length) return false;
        return isAnsweredVersion(versions, index);
      } finally {
        close([fd]);
      }
    },
  };
}

function lstatOfNode(path: string | Buffer): FileStat | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && fileStat(stats);
}

/** struct open_how: flags, mode, and which ways are allowed; three 64-bit numbers. */
function openHow(flags: number): Uint8Array {
  const ways = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  return new Uint8Array(new BigUint64Array([BigInt(flags | O_CLOEXEC), 0n, BigInt(ways)]).buffer);
}

const asDirectory = openHow(constants.O_RDONLY | constants.O_DIRECTORY);
const asFile = openHow(constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);

/** What Node tells, in the same form. */
export function fileStat(stats: BigIntStats): FileStat {
  const { size, ino, dev, rdev, mtimeNs, ctimeNs } = stats;
  return {
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size,
    // Node gives numbers above 2^63 as negative ones.
    ino: BigInt.asUintN(64, ino),
    dev: BigInt.asUintN(64, dev),
    rdev,
    mtimeNs,
    ctimeNs,
  };
}

/** What the type bits of `mode` say. */
export function fileTypeOf(mode: number): FileType {
  switch (mode & constants.S_IFMT) {
    case constants.S_IFREG:
      return "file";
    case constants.S_IFDIR:
      return "directory";
    case constants.S_IFLNK:
      return "symlink";
    case constants.S_IFIFO:
      return "fifo";
    case constants.S_IFSOCK:
      return "socket";
    case constants.S_IFBLK:
      return "block-device";
    default:
      return "char-device";
  }
}

/** Numbers of a device as Linux packs them in st_rdev. */
export function splitDevice(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn)),
  };
}

/** struct statx, filled by one call after the other; little-endian, as both machines are. */
const answerBytes = new Uint8Array(256);
const words = new Uint32Array(answerBytes.buffer);
const halves = new Uint16Array(answerBytes.buffer);
const longs = new BigInt64Array(answerBytes.buffer);
const unsignedLongs = new BigUint64Array(answerBytes.buffer);

function readAnswer(): FileStat {
  return {
    mode: halves[14] ?? 0,
    nlink: words[4] ?? 0,
    uid: words[5] ?? 0,
    gid: words[6] ?? 0,
    size: longs[5] ?? 0n,
    ino: unsignedLongs[4] ?? 0n,
    dev: deviceOf(34),
    rdev: deviceOf(32),
    mtimeNs: timeOf(14),
    ctimeNs: timeOf(12),
  };
}

/** Whether the answer is about a regular file with one name, of a time that nobody has trouble with. */
function isOneFile(): boolean {
  const isFile = ((halves[14] ?? 0) & constants.S_IFMT) === constants.S_IFREG && words[4] === 1;
  // The upper halves of the seconds of ctime and mtime: less than 2 times 2^32 of them.
  return isFile && (words[25] ?? 0) < 2 && (words[29] ?? 0) < 2;
}

/** Whether it is about a file of the owner of all of these; it is that of the first. */
function isOwnerOf(files: PlainFiles): boolean {
  const [uid = 0, gid = 0] = [words[5], words[6]];
  if (files.names.length === 0) [files.uid, files.gid] = [uid, gid];
  return files.uid === uid && files.gid === gid;
}

function answeredSize(): number {
  return (words[10] ?? 0) + 2 ** 32 * (words[11] ?? 0);
}

function addAnswered(files: PlainFiles, name: Buffer): void {
  const index = files.names.length;
  files.names.push(name);
  files.modes[index] = (halves[14] ?? 0) & 0o7777;
  files.sizes[index] = answeredSize();
  files.seconds[index] = (words[28] ?? 0) + 2 ** 32 * (words[29] ?? 0);
  files.nanoseconds[index] = words[30] ?? 0;
  const { numbers } = files.versions;
  const at = versionLength * index;
  numbers[at] = longs[5] ?? 0n;
  numbers[at + 1] = timeOf(14);
  numbers[at + 2] = timeOf(12);
  numbers[at + 3] = longs[4] ?? 0n;
  numbers[at + 4] = deviceOf(34);
}

function isAnsweredVersion(versions: BigInt64Array, index: number): boolean {
  const at = versionLength * index;
  return (
    versions[at] === longs[5] &&
    versions[at + 1] === BigInt.asIntN(64, timeOf(14)) &&
    versions[at + 2] === BigInt.asIntN(64, timeOf(12)) &&
    versions[at + 3] === longs[4] &&
    versions[at + 4] === BigInt.asIntN(64, deviceOf(34))
  );
}

/** Seconds, and behind them nanoseconds. */
function timeOf(at: number): bigint {
  return (longs[at] ?? 0n) * 1_000_000_000n + BigInt(words[2 * at + 2] ?? 0);
}

/** The last numbers of a device, and how they are packed: most nodes lie on one. */
const lastDevice = { major: 0, minor: 0, packed: 0n };

/** Major and minor number as libc packs them in st_dev. */
function deviceOf(at: number): bigint {
  const major = words[at] ?? 0;
  const minor = words[at + 1] ?? 0;
  if (major === 0 && minor === 0) return 0n;
  if (major !== lastDevice.major || minor !== lastDevice.minor)
    Object.assign(lastDevice, { major, minor, packed: packDevice(major, minor) });
  return lastDevice.packed;
}

function packDevice(major: number, minor: number): bigint {
  if (major < 0x1000 && minor < 0x100) return BigInt(major * 0x100 + minor);
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n)
  );
}

const noPath = Buffer.alloc(1);
/** PATH_MAX. */
const pathPlace = Buffer.alloc(4096);
const entries = Buffer.allocUnsafeSlow(32 * 1024);

/** Takes the names out of the structs linux_dirent64 in `entries`, one character a byte. */
function addNames(
  names: string[],
  { length, without }: { readonly length: number; readonly without: readonly Uint8Array[] },
): void {
  let text: string | undefined;
  for (let at = 0; at < length;) {
    const next = at + (entries[at + 16] ?? 0) + 256 * (entries[at + 17] ?? 0);
    const start = at + 19;
    const end = endOfName(start, next);
    at = next;
    if (isDots(start, end) || endsInOne(without, start, end)) continue;
    // One string for all, and none where every name is left out.
    text ??= entries.toString("latin1", 0, length);
    names.push(text.slice(start, end));
  }
}

/** Entries are multiples of 8 bytes, so the NUL is among the last 8. What lies behind it is of no meaning. */
function endOfName(start: number, next: number): number {
  let end = Math.max(start, next - 8);
  while (entries[end] !== 0) end++;
  return end;
}

const dot = 0x2e;

function isDots(start: number, end: number): boolean {
  if (end - start > 2 || entries[start] !== dot) return false;
  return end - start === 1 || entries[start + 1] === dot;
}

function endsInOne(suffixes: readonly Uint8Array[], start: number, end: number): boolean {
  for (const suffix of suffixes) if (endsIn(suffix, start, end)) return true;
  return false;
}

function endsIn(suffix: Uint8Array, start: number, end: number): boolean {
  let at = end;
  // From the end: that is where names differ.
  for (let index = suffix.length - 1; index >= 0; index--)
    if (--at < start || entries[at] !== suffix[index]) return false;
  return true;
}
