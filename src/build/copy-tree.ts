import { contextError, fileChanged } from "../context/index.ts";
import {
  baseName,
  parentRootPath,
  resolvePath,
  rootPath,
  rootPathToString,
  type MergedTree,
  type RootPath,
} from "../layer/index.ts";
import {
  expectDirectory,
  makeTargetDirectories,
  placeFile,
  type CopyTarget,
} from "./copy-target.ts";
import { TreeCopier, type Folder } from "./tree-copier.ts";

/**
 * Copies one selected source: a file to its place, a directory's content (never the directory itself) into the
 * destination.
 *
 * @throws BUILD_COPY_CONFLICT, BUILD_UNSUPPORTED
 * @throws CONTEXT_SOURCE_NOT_FOUND for a link that leads nowhere
 */
export async function copySource(
  target: CopyTarget,
  source: { readonly tree: MergedTree; readonly path: RootPath },
): Promise<void> {
  // The link's own name counts for the destination, what it leads to is copied.
  const from = await resolvePath(source.tree, source.path, { followLast: true });
  const stat = await source.tree.lstat(from);
  if (stat === undefined) throw leadsNowhere(source.path, from);
  const copier = new TreeCopier(target, { tree: source.tree, root: from });
  // It was a directory a moment ago.
  if (target.count !== undefined && stat.type !== "directory")
    throw fileChanged(rootPathToString(source.path));
  if (stat.type !== "directory") {
    const to = await placeFile(target, baseName(source.path));
    return copier.leaf({ from, to, stat });
  }
  await target.count?.begin(stat);
  const to = await resolvePath(target.tree, target.destination, { followLast: true });
  const existing = await target.tree.lstat(to);
  expectDirectory(to, existing);
  await makeTargetDirectories(target, { path: to });
  // The root's own time belongs to no instruction: an entry for it would only make layers differ. The writer keeps the
  // time of others whatever is written into them; told first, it stands in the order of the layer.
  if (existing !== undefined && to.length > 0)
    await target.writer.setAttributes(to, { mtime: stat.mtime });
  await copier.children(from, await copier.openFolder(to, { isNew: existing === undefined }));
  // The next source asks the tree what is there.
  await target.writer.settle();
}

/**
 * `--parents`: each path keeps its place below `pivot`, now below the destination, and the directories between them keep
 * their own looks. The destination is made even when there are no paths.
 *
 * Links are copied as links. A path that links led out of the pivot keeps its place below the root instead.
 *
 * @throws BUILD_COPY_CONFLICT, BUILD_UNSUPPORTED
 */
export async function copyWithParents(
  target: CopyTarget,
  source: {
    readonly tree: MergedTree;
    readonly pivot: RootPath;
    readonly paths: readonly RootPath[];
  },
): Promise<void> {
  const { tree, pivot, paths } = source;
  const to = await makeTargetDirectories(target, { path: target.destination });
  const copier = new TreeCopier(target, { tree, root: pivot });
  const base = await copier.openFolder(to, { isNew: false });
  const folders = new Map([rootPath, pivot].map((directory) => [keyOf(directory), base]));

  const folderOf = async (directory: RootPath): Promise<Folder> => {
    const known = folders.get(keyOf(directory));
    if (known !== undefined) return known;
    const above = await folderOf(parentRootPath(directory) ?? rootPath);
    const stat = await tree.lstat(directory);
    if (stat === undefined) throw leadsNowhere(directory, directory);
    const folder = copier.below(above, { from: directory, stat });
    folders.set(keyOf(directory), folder);
    return folder;
  };
  for (const path of paths) {
    if (folders.get(keyOf(path)) === base) await copier.children(path, base);
    else await copier.child(path, await folderOf(parentRootPath(path) ?? rootPath));
  }
  await target.writer.settle();
}

/** Latin-1 gives each byte string a string of its own. */
function keyOf(path: RootPath): string {
  return path.toString("latin1");
}

function leadsNowhere(path: RootPath, target: RootPath): Error {
  const link = rootPathToString(path);
  const leadsTo = rootPathToString(target);
  return contextError(
    "CONTEXT_SOURCE_NOT_FOUND",
    `copy /${link}: it is a link to "/${leadsTo}": not found`,
    { hint: "remove the link, or make what it leads to", details: { path: link, leadsTo } },
  );
}
