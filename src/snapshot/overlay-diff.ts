import { type BigIntStats, readdirSync, readlinkSync } from "node:fs";
import {
  joinRootPath,
  type LayerEntryWithContent,
  type MergedTree,
  opaqueWhiteoutName,
  rootPath,
  type RootPath,
  whiteoutName,
} from "../layer/index.ts";
import { isWhiteout, locate, nodeStat } from "./disk.ts";
import { entryOf, hardlinkEntry, markEntry } from "./file-entry.ts";
import type { LayerView } from "./layer-disk.ts";

export interface LayerPlace {
  readonly disk: LayerView;
  /** The state below the layer. */
  readonly lower: MergedTree;
}

/**
 * The entries of a layer in overlayfs form: parents before children, names in byte order, marks and whiteouts before the
 * other entries of their directory, later names of one file as hard links to the first.
 *
 * Whiteouts and opaque marks of what lower layers do not have are left out: overlayfs marks new directories as opaque
 * merely to save itself lookups. The root appears only when it changed.
 */
export async function* overlayEntries(
  place: LayerPlace,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const { disk } = place;
  const { directory } = disk;
  const links = new Map<bigint, LayerEntryWithContent>();
  const pending: Listing[] = [];
  if (await rootChanged(place)) {
    const stat = disk.stat(directory);
    const root =
      stat && entryOf(disk, { path: rootPath, absolute: directory, stat: nodeStat(stat, 0) });
    if (root !== undefined) yield root;
  }
  let listing: Listing | undefined = list(place, rootPath);
  while (listing !== undefined) {
    if (listing.next === 0) yield* marksOf(place, listing);
    const node = listing.nodes[listing.next++];
    if (node === undefined) {
      listing = pending.pop();
      continue;
    }
    const { path, stat } = node;
    const absolute = locate(directory, path);
    const linkTarget = stat.isSymbolicLink()
      ? { linkTarget: readlinkSync(absolute, { encoding: "buffer" }) }
      : {};
    const first = stat.nlink > 1n && !stat.isDirectory() ? links.get(stat.ino) : undefined;
    if (first !== undefined) {
      yield hardlinkEntry(first, { path, target: first.path });
      continue;
    }
    const entry = entryOf(disk, { path, absolute, stat: nodeStat(stat, 0), ...linkTarget });
    if (entry === undefined) continue;
    if (stat.nlink > 1n) links.set(stat.ino, entry);
    yield entry;
    if (!stat.isDirectory()) continue;
    pending.push(listing);
    listing = list(place, path);
  }
}

interface Listing {
  readonly path: RootPath;
  readonly whiteouts: readonly RootPath[];
  readonly nodes: readonly { readonly path: RootPath; readonly stat: BigIntStats }[];
  next: number;
}

function list({ disk }: LayerPlace, path: RootPath): Listing {
  const whiteouts: RootPath[] = [];
  const nodes: { path: RootPath; stat: BigIntStats }[] = [];
  // Latin-1 strings sort as their bytes do.
  const names = readdirSync(locate(disk.directory, path), { encoding: "latin1" }).sort();
  for (const name of names) {
    const child = joinRootPath(path, Buffer.from(name, "latin1"));
    const stat = disk.stat(locate(disk.directory, child));
    if (stat === undefined) continue;
    if (isWhiteout(stat)) whiteouts.push(child);
    else nodes.push({ path: child, stat });
  }
  return { path, whiteouts, nodes, next: 0 };
}

async function* marksOf(
  { disk, lower }: LayerPlace,
  { path, whiteouts }: Listing,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const isMarked = path.length > 0 && disk.isOpaque(locate(disk.directory, path));
  if (isMarked && (await lower.lstat(path))?.type === "directory")
    yield markEntry(opaqueWhiteoutName(path));
  for (const removed of whiteouts) {
    const isBelow = !isMarked && (await lower.lstat(removed)) !== undefined;
    if (isBelow) yield markEntry(whiteoutName(removed));
  }
}

async function rootChanged({ disk, lower }: LayerPlace): Promise<boolean> {
  const stat = disk.stat(disk.directory);
  const below = await lower.lstat(rootPath);
  if (stat === undefined || below === undefined) return false;
  const now = nodeStat(stat, 0);
  if (now.mode !== below.mode || now.uid !== below.uid || now.gid !== below.gid) return true;
  if (now.mtime !== below.mtime) return true;
  return !sameXattrs(disk.xattrs(disk.directory) ?? new Map(), await lower.xattrs(rootPath));
}

export function sameXattrs(
  a: ReadonlyMap<string, Buffer>,
  b: ReadonlyMap<string, Buffer>,
): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true);
}
