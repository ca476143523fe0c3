import type { RootfsMount } from "../core/index.ts";
import {
  parentRootPath,
  resolvePath,
  rootPathToString,
  toRootPath,
  type RootPath,
} from "../layer/index.ts";
import { openSkeleton, type SkeletonStub } from "./skeleton.ts";
import { openTreeWriter } from "./tree-writer.ts";
import type { ActiveSnapshot } from "./types.ts";

/** Mount points of every sandbox; an image need not have them. */
const standardStubs: readonly SkeletonStub[] = ["proc", "sys", "dev"].map((name) => ({
  path: toRootPath(name),
  type: "directory",
}));

/** Something that is to be mounted at `target`. */
export interface MountPoint {
  /** Absolute, inside the root. */
  readonly target: string;
}

export interface PreparedMountPoints<M extends MountPoint> {
  readonly rootfs: RootfsMount;
  /** The same mounts at the places where their targets really lie. */
  readonly mounts: readonly M[];
  /** Removes the few stubs that could not live in the skeleton. Call it when the sandbox is gone. */
  readonly cleanUp: () => Promise<void>;
}

/**
 * Gives every mount a place to be mounted on without a trace in the layer: mount points that the image lacks are stubs
 * in a directory below all layers (the skeleton). Targets are resolved inside the root first, so that an image whose
 * `/etc/resolv.conf` points to `../run/…` works.
 */
export async function prepareMountPoints<M extends MountPoint>(request: {
  readonly active: ActiveSnapshot;
  /** A folder of this process for skeletons, which may be shared; made when missing. It outlives the sandbox. */
  readonly skeletons: string;
  readonly mounts: readonly M[];
  /** Whether a mount needs a file to be mounted on, and no directory. */
  readonly isFile: (mount: M) => boolean;
}): Promise<PreparedMountPoints<M>> {
  const { active } = request;
  const stubs: SkeletonStub[] = [...standardStubs];
  const hidden: SkeletonStub[] = [];
  const places = await resolveTargets(active, request.mounts);
  const paths = places.map(({ path }) => path);
  for (const stub of standardStubs) {
    if (active.showsSkeleton(stub.path)) continue;
    // A layer removed it, or all that was below it.
    if ((await active.tree.lstat(stub.path)) === undefined) hidden.push(stub);
  }
  for (const { path, mount } of places) {
    if (isBelowStandardMount(path) || isBelowAny(path, paths)) continue;
    if ((await active.tree.lstat(path)) !== undefined) continue;
    const stub: SkeletonStub = { path, type: request.isFile(mount) ? "file" : "directory" };
    if (active.showsSkeleton(path)) stubs.push(stub);
    else hidden.push(stub);
  }
  const directory = openSkeleton({ folder: request.skeletons, stubs });
  const written = await writeStubs(active, hidden);
  return {
    rootfs: await active.mount({ skeleton: [directory] }),
    mounts: places.map(({ path, mount }) => ({ ...mount, target: `/${path.toString()}` })),
    cleanUp: async () => {
      await active.unmount();
      await removeStubs(active, written);
    },
  };
}

/**
 * Where the targets really lie. Of mounts at one place, which links make of different targets, the one that comes last in
 * order of targets hides the others: so it is the one.
 */
async function resolveTargets<M extends MountPoint>(
  active: ActiveSnapshot,
  mounts: readonly M[],
): Promise<readonly { readonly path: RootPath; readonly mount: M }[]> {
  const places = new Map<string, { path: RootPath; mount: M }>();
  const inOrder = [...mounts].sort((a, b) => (a.target < b.target ? -1 : +(a.target > b.target)));
  for (const mount of inOrder) {
    const target = toRootPath(mount.target, { beyondRoot: "stay" });
    const path = await resolvePath(active.tree, target, { followLast: true });
    places.set(path.toString("latin1"), { path, mount });
  }
  return [...places.values()];
}

/** What lies in another mount has its mount point there, and the sandbox makes it. */
function isBelowAny(path: RootPath, mounts: readonly RootPath[]): boolean {
  return mounts.some((other) => rootPathToString(path).startsWith(`${rootPathToString(other)}/`));
}

/** What lies below these is mounted by the sandbox on file systems of its own, which makes the mount point there. */
function isBelowStandardMount(path: RootPath): boolean {
  return /^(?:proc|sys|dev)\//.test(rootPathToString(path));
}

/** Looks of a stub that has to lie in the layer itself for a while. */
const stubAttributes = { uid: 0, gid: 0, mtime: 0n };

/** Writes stubs and their missing parents into the layer; what was written, parents first. */
async function writeStubs(
  active: ActiveSnapshot,
  stubs: readonly SkeletonStub[],
): Promise<readonly SkeletonStub[]> {
  if (stubs.length === 0) return [];
  const writer = openTreeWriter(active);
  const written: SkeletonStub[] = [];
  for (const stub of stubs) {
    for (const { path, type } of [...parentsOf(stub), stub]) {
      if ((await active.tree.lstat(path)) !== undefined) continue;
      if (type === "directory") await writer.directory(path, { ...stubAttributes, mode: 0o755 });
      else await writer.file(path, { ...stubAttributes, mode: 0o644 }, Buffer.alloc(0));
      written.push({ path, type });
    }
  }
  await writer.finish();
  return written;
}

/** Outermost first, without the root. */
function parentsOf({ path }: SkeletonStub): SkeletonStub[] {
  const parents: SkeletonStub[] = [];
  for (let parent = parentRootPath(path); parent?.length; parent = parentRootPath(parent))
    parents.unshift({ path: parent, type: "directory" });
  return parents;
}

/** Removes what is still as empty as it was written. */
async function removeStubs(
  active: ActiveSnapshot,
  written: readonly SkeletonStub[],
): Promise<void> {
  if (written.length === 0) return;
  const writer = openTreeWriter(active);
  for (const { path, type } of [...written].reverse()) {
    const found = await active.tree.lstat(path);
    if (found?.type !== type || found.size > 0) continue;
    if (type === "directory" && (await active.tree.readdir(path)).length > 0) continue;
    await writer.remove(path);
  }
  await writer.finish();
}
