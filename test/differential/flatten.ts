import type { TarEntry } from "./tar.ts";

/** A file of the flattened tree. Names that are hard links of each other hold the very same object. */
export type TreeNode = Omit<TarEntry, "path">;

/** Absolute path → file, of all layers of an image. */
export type Tree = ReadonlyMap<string, TreeNode>;

const whiteout = ".wh.";
const opaque = ".wh..wh..opq";

/**
 * Lays layers over each other, lowest first, as the OCI image specification says: whiteouts delete what lower layers
 * have, wherever they stand in their own layer. Directories that no layer names are not in the result.
 * @throws on a hard link to nothing
 */
export function flattenLayers(layers: readonly (readonly TarEntry[])[]): Tree {
  const tree = new Map<string, TreeNode>();
  for (const layer of layers) {
    for (const entry of layer) hideLower(tree, entry.path);
    for (const entry of layer) if (!isMark(entry.path)) place(tree, entry);
  }
  return tree;
}

function hideLower(tree: Map<string, TreeNode>, path: string): void {
  if (!isMark(path)) return;
  const { folder, name } = splitPath(path);
  if (name === opaque) removeBelow(tree, `/${folder}`);
  else remove(tree, joinPath(folder, name.slice(whiteout.length)));
}

function place(tree: Map<string, TreeNode>, entry: TarEntry): void {
  const path = `/${entry.path}`;
  const { path: _, ...node } = entry;
  if (entry.type === "hardlink") {
    const target = tree.get(`/${entry.target}`);
    if (target === undefined) throw new Error(`${path} is a hard link to /${entry.target}: absent`);
    if (target === tree.get(path)) return;
    remove(tree, path);
    tree.set(path, target);
    return;
  }
  // Even where nothing is listed: folders that no layer names may hold something.
  if (entry.type !== "directory") remove(tree, path);
  tree.set(path, node);
}

function isMark(path: string): boolean {
  return splitPath(path).name.startsWith(whiteout);
}

function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

function joinPath(folder: string, name: string): string {
  return folder === "" ? `/${name}` : `/${folder}/${name}`;
}

function remove(tree: Map<string, TreeNode>, path: string): void {
  tree.delete(path);
  removeBelow(tree, path);
}

function removeBelow(tree: Map<string, TreeNode>, path: string): void {
  const prefix = path === "/" ? "/" : `${path}/`;
  for (const other of [...tree.keys()]) {
    if (other.startsWith(prefix) && other !== "/") tree.delete(other);
  }
}
