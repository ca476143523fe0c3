import { chmodSync, fchmodSync, mkdirSync, statfsSync } from "node:fs";
import { errnoOf, losslessBytes, syscallErrno, type Syscalls } from "../core/index.ts";
import { showName } from "../layer/index.ts";
import { isPortableXattr } from "./disk.ts";
import { snapshotError } from "./errors.ts";
import type { FilePlan, NewFile } from "./layer-disk.ts";
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
 * have the mode that they were made with. `mayGiveGroup` says
 * whether its directory may have given it another group.
 */
export function setNewFileAttributes(
  kernel: Syscalls,
  path: Buffer,
  file: NewFile & { readonly umask: number },
): void {
  const { mtime, xattrs } = file.attributes;
  const { owner, mode } = planFile(file);
  if (owner !== undefined) kernel.lchown(path, owner.uid, owner.gid);
  if (mode !== undefined) fchmodSync(file.fd, mode);
  if (xattrs !== undefined && xattrs.size > 0) setXattrs(kernel, path, xattrs);
  kernel.futimens(file.fd, { mtime });
}

/** False when something has the name. `mode` is reduced by the umask. */
export function makeFreeDirectory(path: Buffer, mode: number): boolean {
  try {
    mkdirSync(path, mode);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** The same as `setNewFileAttributes` for a directory, whose time is set when nothing more is written into it. */
export function setNewDirectoryAttributes(
  kernel: Syscalls,
  path: Buffer,
  directory: Omit<NewFile, "fd"> & { readonly umask: number },
): void {
  const { xattrs } = directory.attributes;
  const { owner, mode } = planFile(directory);
  if (owner !== undefined) kernel.lchown(path, owner.uid, owner.gid);
  if (mode !== undefined) chmodSync(path, mode);
  if (xattrs !== undefined && xattrs.size > 0) setXattrs(kernel, path, xattrs);
}

/** What a file or directory that was just made needs to look as it is to look, attributes and time left aside. */
export function planFile(file: Omit<NewFile, "fd"> & { readonly umask: number }): FilePlan {
  const { mode, uid, gid } = file.attributes;
  const hasOwner = uid === own.uid && gid === own.gid && !file.mayGiveGroup;
  // open(2) and mkdir(2) give no special bits, and none that the umask takes.
  const hasMode = hasOwner && (mode & (0o7000 | file.umask)) === 0;
  return { owner: hasOwner ? undefined : { uid, gid }, mode: hasMode ? undefined : mode };
}

/**
 * Whether a directory may give its group to what is made in it: by its setgid bit, or because its group is another one
 * and the filesystem lets all directories do so (mount option `grpid`).
 */
export function mayGiveGroup(directory: { readonly mode: number; readonly gid: number }): boolean {
  return (directory.mode & 0o2000) !== 0 || directory.gid !== own.gid;
}

const own = { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 };

/**
 * What the place cannot hold is left out, as every builder does: attributes on a filesystem without them, `user.*` on
 * symlinks and devices, `trusted.*` without the privilege. File capabilities are never left out silently.
 * @throws SNAPSHOT_XATTR_REFUSED
 */
function setXattrs(kernel: Syscalls, path: Buffer, xattrs: ReadonlyMap<string, Buffer>): void {
  for (const [name, value] of xattrs) {
    if (!isPortableXattr(name)) continue;
    const refusal = setXattr(kernel, path, { name, value });
    if (refusal !== undefined && name === "security.capability") throw refusal;
  }
}

/**
 * The error where the place cannot hold the attribute, or we may not set it.
 * @throws SNAPSHOT_XATTR_REFUSED when no place can hold it
 */
export function setXattr(
  kernel: Syscalls,
  path: Buffer,
  { name, value }: { readonly name: string; readonly value: Buffer },
): Error | undefined {
  try {
    kernel.lsetxattr(path, name, value);
    return undefined;
  } catch (error) {
    const errno = syscallErrno(error);
    const isRefused = errno === "EOPNOTSUPP" || errno === "EPERM";
    if (isRefused && error instanceof Error) return error;
    throw isUnacceptable(errno, path) ? refusedXattr({ name, value, errno }, error) : error;
  }
}

/** No kernel takes it: its value is too large or malformed, or its name too long; or this disk has no room of that kind. */
function isUnacceptable(errno: string | undefined, path: Buffer): boolean {
  // ext4 keeps all attributes of a file in one block, and calls them too large by the name of a full disk.
  if (errno === "ENOSPC") return statfsSync(path.subarray(0, path.lastIndexOf("/"))).bavail > 0;
  return errno !== undefined && ["E2BIG", "ERANGE", "EINVAL"].includes(errno);
}

function refusedXattr(
  xattr: { readonly name: string; readonly value: Buffer; readonly errno: string | undefined },
  cause: unknown,
): Error {
  const { value, errno } = xattr;
  const name = showName(losslessBytes(xattr.name));
  return snapshotError(
    "SNAPSHOT_XATTR_REFUSED",
    `set extended attribute ${name} of ${String(value.length)} bytes: ${errno ?? "refused"}`,
    {
      hint: "leave it out of the archive; the kernel takes 64 KiB, ext4 less than 4 KiB a file",
      details: { xattr: name, size: value.length, errno },
      cause,
    },
  );
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

/** Whether what is made in a directory with these attributes gets some of its own from them. */
export function mayHandOn(xattrs: ReadonlyMap<string, Buffer> | undefined): boolean {
  return xattrs?.has("system.posix_acl_default") === true;
}
