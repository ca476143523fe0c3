import { isTsbuildError } from "../core/index.ts";
import {
  baseName,
  isWhiteoutName,
  joinRootPath,
  nameStart,
  parentRootPath,
  resolvePath,
  rootPath,
  rootPathToString,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../layer/index.ts";
import type { PassingCount } from "../context/index.ts";
import { makeDirectories, type DirectoryAttributes, type TreeWriter } from "../snapshot/index.ts";
import type { ModeChange } from "./chmod.ts";
import type { EarlySync } from "./early-sync.ts";
import { buildError } from "./errors.ts";

/** Where copies go and how they are to look; shared by all sources of one COPY or ADD. */
export interface CopyTarget {
  readonly tree: MergedTree;
  readonly writer: TreeWriter;
  /** As the instruction says, expanded and absolute; a trailing slash means a directory. */
  readonly destination: string;
  /** `--chown`; otherwise each source keeps the owner that its tree tells. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly changeMode: ModeChange | undefined;
  /** For directories that have to be created on the way. */
  readonly created: DirectoryAttributes;
  readonly exclude: readonly string[];
  readonly sync: EarlySync;
  /** Counts what is copied on the way, where nobody did before: of one directory, without excludes. */
  readonly count?: PassingCount | undefined;
  readonly signal: AbortSignal;
}

/**
 * Makes sure that `path` is a directory, symlinks followed inside the root, and returns where it lies. What is missing
 * is made as `target.created` says, or `attributes`.
 * @throws BUILD_COPY_CONFLICT when something else is in the way
 */
export async function makeTargetDirectories(
  target: CopyTarget,
  place: { readonly path: string | RootPath; readonly attributes?: DirectoryAttributes },
): Promise<RootPath> {
  const { tree, writer, created } = target;
  const { path, attributes = created } = place;
  try {
    return await makeDirectories({ tree, writer, path: Buffer.from(path), attributes });
  } catch (error) {
    if (!isTsbuildError(error, "SNAPSHOT_NOT_A_DIRECTORY")) throw error;
    throw conflict(`cannot copy to non-directory: ${error.message}`, error);
  }
}

/**
 * Where a file source of the given name goes: into the destination when that is meant as a directory or is one, else it
 * is the destination. Creates the directories on the way.
 * @throws BUILD_COPY_CONFLICT
 */
export async function placeFile(target: CopyTarget, name: Buffer): Promise<RootPath> {
  const { destination } = target;
  if (!(await isDirectoryDestination(target))) {
    const resolved = await resolvePath(target.tree, destination, { followLast: true });
    await makeTargetDirectories(target, { path: parentRootPath(resolved) ?? rootPath });
    return resolved;
  }
  const directory = await makeTargetDirectories(target, { path: destination });
  const place = joinRootPath(directory, name);
  expectNonDirectory(place, await target.tree.lstat(place));
  return place;
}

/** Whether the destination is meant as a directory that sources are put into. */
async function isDirectoryDestination({ tree, destination }: CopyTarget): Promise<boolean> {
  if (/(?:^|\/)\.?$/.test(destination)) return true;
  const path = await resolvePath(tree, destination, { followLast: true });
  return (await tree.lstat(path))?.type === "directory";
}

/** @throws BUILD_COPY_CONFLICT when `existing`, found at `path`, is something that no directory can replace */
export function expectDirectory(path: RootPath, existing: NodeStat | undefined): void {
  if (existing === undefined || existing.type === "directory") return;
  throw conflict(`cannot copy to non-directory: /${rootPathToString(path)}`);
}

/** @throws BUILD_COPY_CONFLICT when `existing`, found at `path`, is a directory, which no file may replace */
export function expectNonDirectory(path: RootPath, existing: NodeStat | undefined): void {
  if (existing?.type !== "directory") return;
  throw conflict(`cannot replace to directory /${rootPathToString(path)} with file`);
}

/**
 * Refuses what would change its meaning inside a layer: names that layer tars use for removals, the device that overlayfs
 * takes for one, and names that lead elsewhere (no disk has them, but a tree need not come from a disk).
 * @throws BUILD_UNSUPPORTED
 */
export function expectStorable(
  path: RootPath,
  node: {
    readonly type: string;
    readonly devMajor?: number | undefined;
    readonly devMinor?: number | undefined;
  },
): void {
  if (path[nameStart(path)] === dots[0]) {
    const name = baseName(path);
    if (name.equals(dots.subarray(0, name.length)))
      throw unstorable(path, "no file can have this name");
  }
  const isDevice = node.type === "char-device" && !node.devMajor && !node.devMinor;
  if (isDevice || isWhiteoutName(path))
    throw unstorable(path, "in image layers this means that something was removed");
}

const dots = Buffer.from("..");

function unstorable(path: RootPath, reason: string): Error {
  return buildError("BUILD_UNSUPPORTED", `copy to /${rootPathToString(path)}: ${reason}`, {
    hint: "leave it out by .dockerignore or --exclude, or give it another name",
  });
}

/** BUILD_COPY_CONFLICT: what is at the destination does not go with what is to come there. */
export function conflict(message: string, cause?: unknown): Error {
  return buildError("BUILD_COPY_CONFLICT", message, {
    hint: "remove what is in the way in an earlier step, or choose another destination",
    ...(cause === undefined ? {} : { cause }),
  });
}
