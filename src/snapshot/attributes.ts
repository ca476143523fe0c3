import { chmodSync } from "node:fs";
import { syscallErrno, type Syscalls } from "../core/index.ts";
import { isPortableXattr } from "./disk.ts";
import type { NodeAttributes } from "./types.ts";

/**
 * Gives a node its looks, in the one order that works: chown clears setuid bits and file capabilities, chmod changes
 * ACLs, and everything changes times.
 */
export function setAttributes(
  kernel: Syscalls,
  path: Buffer,
  node: { readonly isSymlink: boolean; readonly attributes: Partial<NodeAttributes> },
): void {
  const { mode, uid, gid, mtime, xattrs } = node.attributes;
  const unchanged = 0xffff_ffff;
  if (uid !== undefined || gid !== undefined)
    kernel.lchown(path, uid ?? unchanged, gid ?? unchanged);
  if (mode !== undefined && !node.isSymlink) chmodSync(path, mode);
  if (xattrs !== undefined) setXattrs(kernel, path, xattrs);
  if (mtime !== undefined) kernel.utimens(path, { mtime });
}

/**
 * The same for a file that was just made with `mode`, with only the calls that are needed: most files are root's, and
 * have the mode that they were made with. `parentMode` is that of its directory, which may hand on its group.
 */
export function setNewFileAttributes(
  kernel: Syscalls,
  path: Buffer,
  file: { readonly attributes: NodeAttributes; readonly parentMode: number },
): void {
  const { mode, uid, gid, mtime, xattrs } = file.attributes;
  const hasOwner = uid === own.uid && gid === own.gid && (file.parentMode & 0o2000) === 0;
  if (!hasOwner) kernel.lchown(path, uid, gid);
  if (!hasOwner || !isPlainMode(mode)) chmodSync(path, mode);
  if (xattrs !== undefined) setXattrs(kernel, path, xattrs);
  kernel.utimens(path, { mtime });
}

const own = { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 };

/** Whether open(2) gives a new file this mode. */
function isPlainMode(mode: number): boolean {
  return (mode & ~0o777) === 0 && (mode & process.umask()) === 0;
}

/**
 * What the place cannot hold is left out, as every builder does: attributes on a filesystem without them, `user.*` on
 * symlinks and devices, `trusted.*` without the privilege. File capabilities are never left out silently.
 */
function setXattrs(kernel: Syscalls, path: Buffer, xattrs: ReadonlyMap<string, Buffer>): void {
  for (const [name, value] of xattrs) {
    if (!isPortableXattr(name)) continue;
    try {
      kernel.lsetxattr(path, name, value);
    } catch (error) {
      const errno = syscallErrno(error);
      const isRefused = errno === "EOPNOTSUPP" || errno === "EPERM";
      if (!isRefused || name === "security.capability") throw error;
    }
  }
}

/** Takes away attributes that `kept` does not have. */
export function removeOtherXattrs(
  kernel: Syscalls,
  path: Buffer,
  kept: ReadonlyMap<string, Buffer> | undefined,
): void {
  for (const name of kernel.llistxattr(path)) {
    if (isPortableXattr(name) && kept?.has(name) !== true) kernel.lremovexattr(path, name);
  }
}
