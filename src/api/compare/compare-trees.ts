import { joinRootPath, rootPath, type MergedTree, type RootPath } from "../../layer/index.ts";
import { nodeEntry } from "../output/rootfs-entries.ts";
import { compareNodes, compareTimes, shownPath, type LayerDifference } from "./compare-layers.ts";

/** A path at which two root filesystems are not the same. */
export interface FileDifference {
  /** With a leading slash. */
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  /** Bytes of a file's content, before and after; 0 for what is no file or not there. */
  readonly sizes: readonly [number, number];
  /** What is not the same; empty unless changed. */
  readonly fields: readonly Omit<LayerDifference, "path">[];
}

/**
 * Every path at which two trees differ, parents first. What both have from the same layer is not read. Times are
 * compared only when asked for: whatever is built anew has new ones. That two names are one file is not compared.
 */
export async function* compareTrees(
  first: MergedTree,
  second: MergedTree,
  options: { readonly times: boolean; readonly signal: AbortSignal },
): AsyncGenerator<FileDifference, void, undefined> {
  const pending: RootPath[] = [rootPath];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    options.signal.throwIfAborted();
    const below: RootPath[] = [];
    for (const name of await namesOfBoth(first, second, folder)) {
      const path = joinRootPath(folder, name);
      const difference = await comparePath(first, second, { ...options, path });
      if (difference.isFolder) below.push(path);
      if (difference.found !== undefined) yield difference.found;
    }
    pending.push(...below.reverse());
  }
}

async function namesOfBoth(
  first: MergedTree,
  second: MergedTree,
  folder: RootPath,
): Promise<readonly Buffer[]> {
  const names = new Map<string, Buffer>();
  for (const tree of [first, second]) {
    const isFolder = folder.length === 0 || (await tree.lstat(folder))?.type === "directory";
    for (const name of isFolder ? await tree.readdir(folder) : []) {
      names.set(name.toString("latin1"), name);
    }
  }
  return [...names.values()].sort((a, b) => a.compare(b));
}

async function comparePath(
  first: MergedTree,
  second: MergedTree,
  { path, times }: { readonly path: RootPath; readonly times: boolean },
): Promise<{ readonly isFolder: boolean; readonly found?: FileDifference }> {
  const [one, other] = [await first.lstat(path), await second.lstat(path)];
  const isFolder = one?.type === "directory" || other?.type === "directory";
  const sizeOf = (stat: typeof one): number => (stat?.type === "file" ? stat.size : 0);
  const common = { path: shownPath({ path }), sizes: [sizeOf(one), sizeOf(other)] as const };
  if (one === undefined || other === undefined) {
    const change = one === undefined ? "added" : "removed";
    return { isFolder, found: { ...common, change, fields: [] } };
  }
  if (one.inode === other.inode) return { isFolder };
  const [left, right] = [await nodeEntry(first, path, one), await nodeEntry(second, path, other)];
  const differences = [...(await compareNodes(left, right))];
  const time = times ? compareTimes(left, right) : undefined;
  if (time !== undefined) differences.push(time);
  if (differences.length === 0) return { isFolder };
  const fields = differences.map(({ field, first: was, second: is }) => ({
    ...{ field, first: was, second: is },
  }));
  return { isFolder, found: { ...common, change: "changed", fields } };
}
