import { constants } from "node:fs";
import { syscallErrno, syscallError } from "./errors.ts";
import { cString, type Library, passingPath } from "./library.ts";
import type { ResolveFlags, Syscalls } from "./types.ts";

type FileCalls = Pick<
  Syscalls,
  | "mknod"
  | "mkfifo"
  | "lchown"
  | "utimens"
  | "futimens"
  | "openat2"
  | "renameat2"
  | "linkat"
  | "cloneFile"
  | "memfdCreate"
  | "syncfs"
>;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
const UTIME_OMIT = 0x3ffffffen;
const O_CLOEXEC = 0o2000000;
const MFD_CLOEXEC = 0x1;
const MFD_EXEC = 0x10;
const FICLONE = 0x40049409;
const RENAME = { noReplace: 1, exchange: 2 } as const;

/** Calls that make, name and open files. */
export function fileCalls(library: Library): FileCalls {
  const mknodat = library.define("mknodat", ["n", "p", "n", "n"]);
  const fchownat = library.define("fchownat", ["n", "p", "n", "n", "n"]);
  const utimensat = library.define("utimensat", ["n", "p", "p", "n"]);
  const openat2 = library.define("openat2", ["n", "p", "p", "n"]);
  const renameat2 = library.define("renameat2", ["n", "p", "n", "p", "n"]);
  const linkat = library.define("linkat", ["n", "p", "n", "p", "n"]);
  const ioctl = library.define("ioctl", ["n", "n", "n"]);
  const memfdCreate = library.define("memfd_create", ["p", "n"]);
  const syncfs = library.define("syncfs", ["n"]);
  const syncfsAsync = library.defineAsync("syncfs", ["n"]);

  return {
    mknod: (path, { mode, major, minor }) => {
      mknodat([AT_FDCWD, cString(path), mode, deviceNumber(major, minor)], path);
    },
    mkfifo: (path, mode) => {
      mknodat([AT_FDCWD, cString(path), constants.S_IFIFO | mode, 0], path);
    },
    lchown: (path, uid, gid) => {
      fchownat([AT_FDCWD, cString(path), uid, gid, AT_SYMLINK_NOFOLLOW], path);
    },
    utimens: (path, { atime, mtime }) => {
      const times = timespecs(atime, mtime);
      utimensat([AT_FDCWD, cString(path), times, AT_SYMLINK_NOFOLLOW], path);
    },
    futimens: (fd, { atime, mtime }) => {
      utimensat([fd, null, timespecs(atime, mtime), 0]);
    },
    openat2: (dirfd, path, { flags, mode = 0, resolve = {} }) => {
      // struct open_how: three 64-bit numbers, of which only the low halves are used.
      openHow[0] = flags | O_CLOEXEC;
      openHow[2] = mode;
      openHow[4] = resolveBits(resolve);
      const at = dirfd === "cwd" ? AT_FDCWD : dirfd;
      return openat2([at, passingPath(path), openHowBytes, openHowBytes.length], path);
    },
    renameat2: (from, to, how) => {
      renameat2([AT_FDCWD, cString(from), AT_FDCWD, cString(to), RENAME[how]], to);
    },
    linkat: (from, to) => {
      // AT_EMPTY_PATH needs a capability; the link under /proc does not.
      const open = typeof from === "object" && "fd" in from;
      const source = open ? `/proc/self/fd/${String(from.fd)}` : from;
      const flags = open ? AT_SYMLINK_FOLLOW : 0;
      linkat([AT_FDCWD, cString(source), AT_FDCWD, cString(to), flags], to);
    },
    cloneFile: (fromFd, toFd) => {
      try {
        ioctl([toFd, FICLONE, fromFd]);
        return true;
      } catch (error) {
        const errno = syscallErrno(error) ?? "";
        if (["EOPNOTSUPP", "EXDEV", "EINVAL", "ENOTTY", "ETXTBSY"].includes(errno)) return false;
        throw error;
      }
    },
    memfdCreate: (name) => {
      try {
        return memfdCreate([cString(name), MFD_CLOEXEC | MFD_EXEC]);
      } catch (error) {
        // Before Linux 6.3 every such file can be executed, and there is no flag that says so.
        if (syscallErrno(error) !== "EINVAL") throw error;
        return memfdCreate([cString(name), MFD_CLOEXEC]);
      }
    },
    syncfs: async (fd) => {
      if (await syncfsAsync([fd])) return;
      // The first errno stayed in its thread. A write error is told once per descriptor, so this may well succeed.
      syncfs([fd]);
      throw syscallError({ syscall: "syncfs", errno: "EIO" });
    },
  };
}

/** The kernel's dev_t encoding (12 bits of major, 20 of minor) as libc widens it to 64 bits. */
function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n);
}

/** Filled for one call after the other; little-endian, as both machines are. */
const openHow = new Uint32Array(6);
const openHowBytes = new Uint8Array(openHow.buffer);
const times = new BigInt64Array(4);

function timespecs(atime: bigint | undefined, mtime: bigint | undefined): Uint8Array {
  setTime(0, atime);
  setTime(2, mtime);
  return timesBytes;
}

const timesBytes = new Uint8Array(times.buffer);

function setTime(at: number, time: bigint | undefined): void {
  if (time === undefined) {
    times[at] = 0n;
    times[at + 1] = UTIME_OMIT;
    return;
  }
  const [seconds, nanoseconds] = splitTime(time);
  times[at] = seconds;
  times[at + 1] = nanoseconds;
}

/** Nanoseconds are 0 to 999,999,999 also before the epoch: -0.5 s is second -1 and 500,000,000 ns. */
function splitTime(time: bigint): [bigint, bigint] {
  const nanoseconds = ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return [(time - nanoseconds) / 1_000_000_000n, nanoseconds];
}

function resolveBits(resolve: ResolveFlags): number {
  return (
    (resolve.noCrossDevice === true ? 0x01 : 0) |
    (resolve.noMagicLinks === true ? 0x02 : 0) |
    (resolve.noSymlinks === true ? 0x04 : 0) |
    (resolve.beneath === true ? 0x08 : 0) |
    (resolve.inRoot === true ? 0x10 : 0)
  );
}
