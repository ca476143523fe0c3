import { constants, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, loadSyscalls, syscallErrno, type Syscalls } from "../core/index.ts";
import { opaqueXattr } from "./disk.ts";
import { snapshotError } from "./errors.ts";
import { copyForm } from "./copy-form.ts";
import { type EmptyDirectories, overlayForm } from "./form.ts";
import { DirectorySnapshotter } from "./snapshotter.ts";
import type { Snapshotter } from "./types.ts";

export interface OpenSnapshotterOptions {
  /** Where committed snapshots live; created when missing. */
  readonly directory: string;
  /** This process' own folder on the same filesystem, swept when the process is dead. */
  readonly tmpDir: string;
  /** `auto` takes overlayfs where the filesystem and the privileges allow its marks, else copies. */
  readonly kind?: "auto" | "overlayfs" | "copy";
  /** Names this boot of the machine; the kernel's own unless given. */
  readonly bootId?: string;
}

/** @throws SNAPSHOT_KIND_UNSUPPORTED when overlayfs is asked for and cannot work here; SYSCALLS_UNAVAILABLE */
export async function openSnapshotter(options: OpenSnapshotterOptions): Promise<Snapshotter> {
  const { directory, tmpDir, kind = "auto", bootId } = options;
  const kernel = await loadSyscalls();
  const empty = makeEmptyDirectories(kernel, directory);
  const obstacle = kind === "copy" ? undefined : overlayObstacle(kernel, tmpDir);
  if (kind === "overlayfs" && obstacle !== undefined) throw unsupported(tmpDir, obstacle);
  const isOverlay = kind !== "copy" && obstacle === undefined;
  const form = isOverlay ? overlayForm(kernel, empty) : copyForm({ kernel, empty, tmpDir });
  return new DirectorySnapshotter({ form, directory, tmpDir, bootId });
}

/** They show as the root of an image without layers, and look like one. */
function makeEmptyDirectories(kernel: Syscalls, directory: string): EmptyDirectories {
  const empty = [join(directory, "empty", "a"), join(directory, "empty", "b")] as const;
  for (const path of empty) {
    makeFolder(path, 0o755);
    kernel.utimens(path, { mtime: 0n });
  }
  return empty;
}

/** statfs type of overlayfs, on which no upper directory of another one can lie. */
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;

/**
 * Why layers in overlayfs form cannot be kept in this folder; undefined when they can. Mounting itself is not tried.
 * Synchronous: every command opens the snapshotter, and six tiny calls through the pool would cost it milliseconds.
 */
function overlayObstacle(
  kernel: Syscalls,
  folder: string,
): "overlayfs" | "whiteouts" | "xattrs" | undefined {
  if (statfsSync(folder).type === OVERLAYFS_SUPER_MAGIC) return "overlayfs";
  const probe = mkdtempSync(join(folder, "probe-"));
  try {
    const whiteout = { mode: constants.S_IFCHR, major: 0, minor: 0 };
    if (!isAllowed(() => kernel.mknod(join(probe, "whiteout"), whiteout))) return "whiteouts";
    if (!isAllowed(() => kernel.lsetxattr(probe, opaqueXattr, Buffer.from("y")))) return "xattrs";
    return undefined;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

function isAllowed(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    const errno = syscallErrno(error);
    if (errno === "EPERM" || errno === "EACCES" || errno === "EOPNOTSUPP") return false;
    throw error;
  }
}

function unsupported(folder: string, obstacle: string): Error {
  const reasons: Readonly<Record<string, string>> = {
    overlayfs: "it lies on an overlayfs itself",
    whiteouts: "device nodes cannot be made there",
    xattrs: "it takes no trusted.* attributes",
  };
  return snapshotError(
    "SNAPSHOT_KIND_UNSUPPORTED",
    `keep overlayfs layers in ${folder}: ${reasons[obstacle] ?? obstacle}`,
    {
      hint: "choose a state folder on a local filesystem such as ext4 or xfs, or run as root",
      details: { folder, obstacle },
    },
  );
}
