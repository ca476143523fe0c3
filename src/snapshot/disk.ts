import { type BigIntStats, closeSync, constants, lstatSync, openSync, readSync } from "node:fs";
import {
  errnoOf,
  type FileStat,
  fileTypeOf,
  openUnseen,
  splitDevice,
  syscallErrno,
  type Syscalls,
} from "../core/index.ts";
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
export function statOf(kernel: Syscalls, path: Buffer): FileStat | undefined {
  return unlessTooLong(() => kernel.lstat(path));
}

/** The same with the time of birth. */
export function fullStatOf(path: Buffer): BigIntStats | undefined {
  return unlessTooLong(() => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

function unlessTooLong<Stat>(look: () => Stat | undefined): Stat | undefined {
  try {
    return look();
  } catch (error) {
    if (errnoOf(error) === "ENAMETOOLONG") return undefined;
    throw error;
  }
}

export function isDirectory(stat: FileStat | undefined): boolean {
  return stat !== undefined && (stat.mode & constants.S_IFMT) === constants.S_IFDIR;
}

export function isSymlink(stat: FileStat | undefined): boolean {
  return stat !== undefined && (stat.mode & constants.S_IFMT) === constants.S_IFLNK;
}

export function isFile(stat: FileStat | undefined): boolean {
  return stat !== undefined && (stat.mode & constants.S_IFMT) === constants.S_IFREG;
}

/** Overlayfs' mark that lower layers' node of this name is gone. */
export function isWhiteout(stat: FileStat): boolean {
  return stat.rdev === 0n && (stat.mode & constants.S_IFMT) === constants.S_IFCHR;
}

export const opaqueXattr = "trusted.overlay.opaque";

/** Whether the directory hides everything below it in lower layers. */
export function isOpaque(kernel: Syscalls, path: Buffer): boolean {
  return kernel.lgetxattr(path, opaqueXattr)?.[0] === 0x79;
}

/** `layer` tells nodes of several layers apart. */
export function nodeStat(stat: FileStat, layer: number): NodeStat {
  const { mode, uid, gid, nlink } = stat;
  const type = fileTypeOf(mode);
  const device = type.endsWith("device") ? splitDevice(stat.rdev) : noDevice;
  return {
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    size: type === "file" ? Number(stat.size) : 0,
    mtime: stat.mtimeNs,
    devMajor: device.major,
    devMinor: device.minor,
    nlink,
    inode: `${String(layer)}:${String(stat.ino)}`,
  };
}

const noDevice = { major: 0, minor: 0 };

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
  const fd = openUnseen(path);
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
