import {
  chmodSync,
  chownSync,
  constants,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { syscallErrno, unreachable, type Syscalls } from "../../core/index.ts";
import { standardDeviceLinks, standardDevices } from "../builtin/standard-paths.ts";
import { sandboxError } from "../errors.ts";
import { isFileMount } from "../mount-kind.ts";
import type { SandboxMount, SandboxSpec } from "../types.ts";
import type { BorrowedTree } from "./borrowed-tree.ts";
import { copyInto } from "./copy-into.ts";

/** What placing takes. */
export interface PlacingOptions {
  readonly spec: SandboxSpec;
  readonly tree: BorrowedTree;
  readonly kernel: Syscalls;
  /** Told of what a step asked for and does not get. */
  readonly onLoss: (what: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const O_PATH = 0o10000000;

/**
 * Puts into the tree what a step would otherwise see as mounts: device nodes of its own, empty /proc and /sys, and its
 * mounts, as copies where it may read, and themselves where it writes to what stays.
 * @throws SANDBOX_MOUNT_FAILED; SANDBOX_UNSUPPORTED for what only a mount can do
 */
export async function placeMounts(options: PlacingOptions): Promise<void> {
  const { spec, tree, kernel } = options;
  for (const name of ["proc", "sys"])
    await tree.replaceInRoot(name, (path) => mkdirSync(path, 0o555));
  await tree.replaceInRoot("dev", (path) => makeDevices(kernel, path));
  if (spec.shmSize !== undefined) options.onLoss("/dev/shm has no size");
  const mounts = [...spec.mounts].sort((a, b) =>
    a.target < b.target ? -1 : +(a.target > b.target),
  );
  for (const [index, mount] of mounts.entries()) {
    if (isInside(mount, mounts.slice(0, index))) tree.makePlace(mount.target, isFileMount(mount));
    await place(mount, options);
  }
}

/** Nodes of our own: those of the host could only be shown by mounts. */
function makeDevices(kernel: Syscalls, folder: string): void {
  mkdirSync(folder, 0o755);
  const inside = (path: string): string => join(folder, path.slice("/dev/".length));
  for (const { path, major, minor } of standardDevices) {
    kernel.mknod(inside(path), { mode: constants.S_IFCHR | 0o666, major, minor });
    chmodSync(inside(path), 0o666);
  }
  for (const name of ["pts", "mqueue", "shm"]) mkdirSync(join(folder, name), 0o755);
  for (const name of ["mqueue", "shm"]) chmodSync(join(folder, name), 0o1777);
  for (const { path, target } of standardDeviceLinks) symlinkSync(target, inside(path));
}

/** What lies below /dev or another mount has no mount point that could have been made before. */
function isInside({ target }: SandboxMount, outer: readonly SandboxMount[]): boolean {
  return ["/dev", ...outer.map((mount) => mount.target)].some((place) =>
    target.startsWith(`${place}/`),
  );
}

async function place(mount: SandboxMount, options: PlacingOptions): Promise<void> {
  const { tree, kernel, signal } = options;
  switch (mount.type) {
    case "tmpfs":
      if (mount.sizeBytes !== undefined) options.onLoss(`the tmpfs at ${mount.target} has no size`);
      return tree.replace(mount.target, (path) => {
        mkdirSync(path);
        chmodSync(path, mount.mode ?? 0o1777);
      });
    case "secret":
      return tree.replace(
        mount.target,
        (path) => {
          writeFileSync(path, mount.content, { flag: "wx", mode: 0o600 });
          chownSync(path, mount.uid, mount.gid);
          chmodSync(path, mount.mode);
        },
        { isSecret: true },
      );
    case "tree": {
      const from = join(directoryOf(mount), mount.path);
      return tree.replace(mount.target, async (path) =>
        copyInto(kernel, { from, to: path }, signal),
      );
    }
    case "bind":
      return placeBind(mount, options);
    default:
      return unreachable(mount);
  }
}

function directoryOf({ rootfs, target }: Extract<SandboxMount, { type: "tree" }>): string {
  if (rootfs.type === "directory") return rootfs.path;
  throw unsupported(`show layers at ${target}`, "only complete trees can be copied into a chroot");
}

async function placeBind(
  mount: Extract<SandboxMount, { type: "bind" }>,
  { tree, kernel, signal }: PlacingOptions,
): Promise<void> {
  const { target } = mount;
  const source = findSource(mount, kernel);
  if (mount.readOnly || lstatSync(source).isSocket()) {
    return tree.replace(target, async (path) =>
      copyInto(kernel, { from: source, to: path }, signal),
    );
  }
  if (mount.movedBy !== undefined) return tree.moveIn(target, { source, noteIn: mount.movedBy });
  throw unsupported(
    `let a step write to ${mount.source} at ${target}`,
    "without mounts it could only be moved away meanwhile: make it read-only, or copy what is needed",
  );
}

/** @throws SANDBOX_MOUNT_FAILED when `beneath` leads out */
function findSource(
  { source, beneath = "", target }: Extract<SandboxMount, { type: "bind" }>,
  kernel: Syscalls,
): string {
  if (beneath === "") return source;
  const directory = openSync(source, O_PATH | constants.O_DIRECTORY);
  try {
    const fd = kernel.openat2(directory, beneath, {
      flags: O_PATH,
      resolve: { beneath: true, noMagicLinks: true },
    });
    try {
      return readlinkSync(`/proc/self/fd/${String(fd)}`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const errno = syscallErrno(error);
    const why =
      errno === "EXDEV" ? "leads out through a symlink" : `cannot be used: ${errno ?? "?"}`;
    throw sandboxError("SANDBOX_MOUNT_FAILED", `mount ${target}: its source ${beneath} ${why}`, {
      hint: "name what the link leads to, or empty the cache with `tsbuild builder prune`",
      details: { source: beneath, target, ...(errno === undefined ? {} : { errno }) },
      cause: error,
    });
  } finally {
    closeSync(directory);
  }
}

/** What needs a right that nobody has here. */
export function unsupported(what: string, why: string): Error {
  return sandboxError("SANDBOX_UNSUPPORTED", `${what}: not possible in a chroot`, {
    hint: `${why}; \`tsbuild doctor\` tells what would give steps namespaces`,
  });
}
