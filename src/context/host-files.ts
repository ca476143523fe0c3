import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { errnoOf, fileStat, type FileStat, syscallErrno, type Syscalls } from "../core/index.ts";
import { type ByteString, bytesOf, isAscii } from "./byte-strings.ts";

/**
 * The calls to the host's filesystem that a directory context makes. They are synchronous: 20,000 times lstat took
 * 90 ms so and 240 ms through the thread pool, open-read-close of small files 0.36 s and 1.2 s (Node 20, 2 cores).
 */

/** What Node takes as a path without harm: text for ASCII, bytes for the rest. */
export function hostPath(path: ByteString): string | Buffer {
  return isAscii(path) ? path : bytesOf(path);
}

/**
 * undefined when nothing is there. Symlinks in front of the last component are followed: check them before. `kernel` is
 * quicker where it is loaded.
 */
export function lstatNode(path: ByteString, kernel?: Syscalls): FileStat | undefined {
  try {
    if (kernel !== undefined) return kernel.lstatBytes(path);
    const stats = lstatSync(hostPath(path), { bigint: true, throwIfNoEntry: false });
    return stats && fileStat(stats);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOTDIR" || errno === "ENAMETOOLONG") return undefined;
    throw error;
  }
}

export function isDirectory(stats: FileStat | undefined): boolean {
  return stats !== undefined && (stats.mode & constants.S_IFMT) === constants.S_IFDIR;
}

export interface Listing {
  /** Quicker where it is loaded: it needs no look at where the open directory lies. */
  readonly kernel: Syscalls | undefined;
  /** Ends of names that need not be told. */
  readonly without?: readonly Uint8Array[] | undefined;
}

/** Names in no order; undefined when a symlink stands on the way by now. */
export function listNames(path: ByteString, listing: Listing): ByteString[] | undefined {
  return (
    listAtOnce(path, listing) ??
    inRealDirectory(path, (directory) => readdirSync(directory, "latin1"))
  );
}

/** undefined when the kernel has something against it, which the longer way tells. */
function listAtOnce(path: ByteString, { kernel, without }: Listing): ByteString[] | undefined {
  if (kernel === undefined) return undefined;
  try {
    return kernel.listDirectory(path, without && { without });
  } catch (error) {
    if (syscallErrno(error) === undefined) throw error;
    return undefined;
  }
}

/** undefined when a symlink stands on the way by now. */
export function readLinkTarget(path: ByteString): Buffer | undefined {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  return inRealDirectory(path.slice(0, slash) || "/", (directory) =>
    readlinkSync(hostPath(`${directory}/${name}`), "buffer"),
  );
}

/**
 * Works with a directory by a name that leads to it whatever happens to its path meanwhile. undefined when the path leads
 * elsewhere: someone exchanged a directory for a link since it was looked at.
 */
function inRealDirectory<Result>(
  path: ByteString,
  work: (directory: string) => Result,
): Result | undefined {
  const fd = openSync(hostPath(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const byDescriptor = `/proc/self/fd/${String(fd)}`;
    const real = realPathOf(byDescriptor);
    // Where /proc is not mounted the path is taken at its word.
    if (real === undefined) return work(path);
    return real === path ? work(byDescriptor) : undefined;
  } finally {
    closeSync(fd);
  }
}

function realPathOf(byDescriptor: string): ByteString | undefined {
  try {
    return readlinkSync(byDescriptor, "latin1");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** O_NONBLOCK: a FIFO that took the file's place must not make us wait. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a file for reading; the kernel refuses to follow any symlink, also where a directory was exchanged for one since
 * it was looked at: "elsewhere". "socket" when it cannot be opened because it is one. Whether it is the regular file that
 * was looked at, the caller sees from its version.
 */
export function openRealFile(kernel: Syscalls, path: ByteString): number | "socket" | "elsewhere" {
  try {
    return kernel.openReal(path);
  } catch (error) {
    const errno = syscallErrno(error);
    if (errno === "ENXIO") return "socket";
    if (errno === "ELOOP") return "elsewhere";
    // Before Linux 5.6, or forbidden by a seccomp profile of that time.
    if (errno === "ENOSYS" || errno === "EPERM") return openProven(path);
    throw error;
  }
}

/** The same by looking where the open file lies. */
function openProven(path: ByteString): number | "socket" | "elsewhere" {
  let fd: number;
  try {
    fd = openSync(hostPath(path), readFlags);
  } catch (error) {
    if (errnoOf(error) === "ENXIO") return "socket";
    if (errnoOf(error) === "ELOOP") return "elsewhere";
    throw error;
  }
  if ((realPathOf(`/proc/self/fd/${String(fd)}`) ?? path) === path) return fd;
  closeSync(fd);
  return "elsewhere";
}
