import { type BigIntStats, closeSync, constants, lstatSync, openSync, readSync } from "node:fs";
import { errnoOf, syscallErrno, type Syscalls } from "../core/index.ts";
import type { NodeStat, RootPath } from "../layer/index.ts";

/** One layer's own directory, as bytes. Synchronous calls throughout: each takes microseconds, a promise ten times that. */
export type LayerDirectory = Buffer;

/** Absolute path of `path` in a layer. */
export function locate(directory: LayerDirectory, path: RootPath): Buffer {
  if (path.length === 0) return directory;
  const absolute = Buffer.allocUnsafe(directory.length + 1 + path.length);
  absolute.set(directory);
  absolute[directory.length] = 0x2f;
  absolute.set(path, directory.length + 1);
  return absolute;
}

/**
 * undefined when nothing is there, as it is where a name is longer than any can be. The caller knows that all but the last
 * component are directories, or nothing.
 */
export function statOf(path: Buffer): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (errnoOf(error) === "ENAMETOOLONG") return undefined;
    throw error;
  }
}

/** Overlayfs' mark that lower layers' node of this name is gone. */
export function isWhiteout(stat: BigIntStats): boolean {
  return stat.rdev === 0n && stat.isCharacterDevice();
}

export const opaqueXattr = "trusted.overlay.opaque";

/** Whether the directory hides everything below it in lower layers. */
export function isOpaque(kernel: Syscalls, path: Buffer): boolean {
  return kernel.lgetxattr(path, opaqueXattr)?.[0] === 0x79;
}

/** `layer` tells nodes of several layers apart. */
export function nodeStat(stat: BigIntStats, layer: number): NodeStat {
  return {
    type: nodeType(stat),
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: stat.isFile() ? Number(stat.size) : 0,
    mtime: stat.mtimeNs,
    devMajor: Number(((stat.rdev >> 8n) & 0xfffn) | ((stat.rdev >> 32n) & ~0xfffn)),
    devMinor: Number((stat.rdev & 0xffn) | ((stat.rdev >> 12n) & 0xffffff00n)),
    nlink: Number(stat.nlink),
    inode: `${String(layer)}:${String(stat.ino)}`,
  };
}

function nodeType(stat: BigIntStats): NodeStat["type"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  if (stat.isCharacterDevice()) return "char-device";
  return stat.isBlockDevice() ? "block-device" : "socket";
}

/**
 * Attributes that belong to the image. Overlayfs' own must never leave or enter a layer (a planted `redirect` would be
 * followed), and labels of the host's security modules mean nothing elsewhere.
 */
export function isPortableXattr(name: string): boolean {
  if (name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.")) return false;
  return !name.startsWith("security.") || name === "security.capability";
}

/** undefined when there are none, which is the common case. */
export function readXattrs(kernel: Syscalls, path: Buffer): Map<string, Buffer> | undefined {
  const names = kernel.llistxattr(path).filter(isPortableXattr);
  if (names.length === 0) return undefined;
  const xattrs = new Map<string, Buffer>();
  for (const name of names.sort()) {
    const value = kernel.lgetxattr(path, name);
    if (value !== undefined) xattrs.set(name, value);
  }
  return xattrs;
}

const O_PATH = 0o10000000;

const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const bare = { flags: readFlags, resolve: { noSymlinks: true, noMagicLinks: true } };
const beneath = { flags: readFlags, resolve: { ...bare.resolve, beneath: true } };

/**
 * Opens a regular file for reading. The kernel refuses to leave the layer or to follow any symlink, whatever the lookup
 * before it thought.
 */
export function openInLayer(kernel: Syscalls, directory: LayerDirectory, path: RootPath): number {
  try {
    // A clean path without any symlink on its way cannot leave the layer either, and this is one call instead of three.
    return kernel.openat2("cwd", locate(directory, path), bare);
  } catch (error) {
    // Links in front of the layer are the user's own affair.
    if (syscallErrno(error) !== "ELOOP") throw error;
  }
  const layer = openSync(directory, O_PATH | constants.O_DIRECTORY);
  try {
    return kernel.openat2(layer, path, beneath);
  } finally {
    closeSync(layer);
  }
}

/** The file's content up to the length of `target`; shorter when the file is shorter now. */
export function readWhole(path: Buffer, target: Buffer): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    let length = 0;
    while (length < target.length) {
      const read = readSync(fd, target, length, target.length - length, null);
      if (read === 0) return target.subarray(0, length);
      length += read;
    }
    return target;
  } finally {
    closeSync(fd);
  }
}
