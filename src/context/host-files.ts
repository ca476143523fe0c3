import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { errnoOf } from "../core/index.ts";
import type { NodeStat } from "../layer/index.ts";
import { type ByteString, bytesOf, isAscii } from "./byte-strings.ts";

/**
 * The calls to the host's filesystem that a directory context makes. They are synchronous: 20,000 times lstat took
 * 90 ms so and 240 ms through the thread pool, open-read-close of small files 0.36 s and 1.2 s (Node 20, 2 cores).
 */

/** What Node takes as a path without harm: text for ASCII, bytes for the rest. */
export function hostPath(path: ByteString): string | Buffer {
  return isAscii(path) ? path : bytesOf(path);
}

/** undefined when nothing is there. Symlinks in front of the last component are followed: check them before. */
export function lstatNode(path: ByteString): BigIntStats | undefined {
  try {
    return lstatSync(hostPath(path), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOTDIR" || errno === "ENAMETOOLONG") return undefined;
    throw error;
  }
}

/** `mode` with its type bits. */
export function nodeType(mode: number): NodeStat["type"] {
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

/** Names in byte order. */
export function listNames(path: ByteString): ByteString[] {
  // Node decodes each byte as one character, so the default order is the order of the bytes.
  return readdirSync(hostPath(path), "latin1").sort();
}

export function readLinkTarget(path: ByteString): Buffer {
  return readlinkSync(hostPath(path), "buffer");
}

/**
 * Opens a regular file for reading, proving that no symlink was followed: not the last component, and no directory that
 * someone exchanged for a link since it was looked at. undefined when the path leads elsewhere, "socket" when it cannot be
 * opened because it is one.
 */
export function openRealFile(
  path: ByteString,
): { readonly fd: number; readonly stats: BigIntStats } | "socket" | undefined {
  // O_NONBLOCK: a FIFO that took the file's place must not make us wait.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = openSync(hostPath(path), flags);
  } catch (error) {
    if (errnoOf(error) === "ENXIO") return "socket";
    if (errnoOf(error) === "ELOOP") return undefined;
    throw error;
  }
  try {
    const stats = fstatSync(fd, { bigint: true });
    if (stats.isFile() && realPathOf(fd, path) === path) return { fd, stats };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** Where the open file lies; taken at its word where /proc is not mounted. */
function realPathOf(fd: number, path: ByteString): ByteString {
  try {
    return readlinkSync(`/proc/self/fd/${String(fd)}`, "latin1");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return path;
    throw error;
  }
}

/** Device numbers as Linux packs them in st_rdev. */
export function splitDevice(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn)),
  };
}
