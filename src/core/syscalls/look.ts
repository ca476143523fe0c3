import { type BigIntStats, fstatSync, lstatSync } from "node:fs";
import { syscallErrno } from "./errors.ts";
import { cString, type Library } from "./library.ts";
import type { FileStat, SyscallPath, Syscalls } from "./types.ts";

type LookCalls = Pick<Syscalls, "lstat" | "fstat" | "listNames">;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;

/**
 * Calls that only look. Node has them, but makes four dates and some twenty other objects for each answer: of 7 µs for a
 * file in the kernel's cache that is half.
 */
export function lookCalls(library: Library): LookCalls {
  const statx = library.define("statx", ["n", "p", "n", "n", "p"]);
  const getdents = library.define("getdents64", ["n", "p", "n"]);
  /** Before Linux 4.11, or forbidden by a seccomp profile of that time. */
  let isRefused = false;

  const look = (at: number, path: Buffer, flags: number): FileStat | undefined => {
    if (isRefused) return undefined;
    try {
      statx([at, path, flags, STATX_BASIC_STATS, answerBytes]);
      return readAnswer();
    } catch (error) {
      const errno = syscallErrno(error);
      // What else is wrong, Node's own call tells.
      if (errno === "ENOSYS" || errno === "EPERM") isRefused = true;
      return undefined;
    }
  };

  return {
    lstat: (path) => {
      const found = look(AT_FDCWD, pathBytes(path), AT_SYMLINK_NOFOLLOW);
      if (found !== undefined) return found;
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return stats && fileStat(stats);
    },
    fstat: (fd) => look(fd, noPath, AT_EMPTY_PATH) ?? fileStat(fstatSync(fd, { bigint: true })),
    listNames: (fd) => {
      const names: string[] = [];
      for (;;) {
        const length = getdents([fd, entries, entries.length]);
        if (length === 0) return names;
        addNames(names, entries.toString("latin1", 0, length));
      }
    },
  };
}

/** What Node tells, in the same form. */
export function fileStat(stats: BigIntStats): FileStat {
  const { size, ino, dev, rdev, mtimeNs, ctimeNs } = stats;
  return {
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    size,
    // Node gives numbers above 2^63 as negative ones.
    ino: BigInt.asUintN(64, ino),
    dev: BigInt.asUintN(64, dev),
    rdev,
    mtimeNs,
    ctimeNs,
  };
}

/** struct statx, filled by one call after the other; little-endian, as both machines are. */
const answerBytes = new Uint8Array(256);
const words = new Uint32Array(answerBytes.buffer);
const halves = new Uint16Array(answerBytes.buffer);
const longs = new BigInt64Array(answerBytes.buffer);

function readAnswer(): FileStat {
  return {
    mode: halves[14] ?? 0,
    nlink: words[4] ?? 0,
    size: longs[5] ?? 0n,
    ino: BigInt.asUintN(64, longs[4] ?? 0n),
    dev: deviceOf(34),
    rdev: deviceOf(32),
    mtimeNs: timeOf(14),
    ctimeNs: timeOf(12),
  };
}

/** Seconds, and behind them nanoseconds. */
function timeOf(at: number): bigint {
  return (longs[at] ?? 0n) * 1_000_000_000n + BigInt(words[2 * at + 2] ?? 0);
}

/** Major and minor number as libc packs them in st_dev. */
function deviceOf(at: number): bigint {
  const [major = 0, minor = 0] = [words[at], words[at + 1]];
  if (major < 0x1000 && minor < 0x100) return BigInt(major * 0x100 + minor);
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n)
  );
}

const noPath = Buffer.alloc(1);
/** PATH_MAX: no path that the kernel takes is longer. */
const path = Buffer.alloc(4096);

/** The path with a final NUL, in memory that the next call uses again. */
function pathBytes(text: SyscallPath): Buffer {
  if (typeof text !== "string" || text.length * 3 >= path.length || text.includes("\0"))
    return cString(text);
  path[path.write(text)] = 0;
  return path;
}

const entries = Buffer.allocUnsafeSlow(32 * 1024);

/** Takes the names out of struct linux_dirent64, one character a byte. */
function addNames(names: string[], text: string): void {
  for (let at = 0; at < text.length;) {
    const name = text.slice(at + 19, text.indexOf("\0", at + 19));
    if (name !== "." && name !== "..") names.push(name);
    at += text.charCodeAt(at + 16) + 256 * text.charCodeAt(at + 17);
  }
}
