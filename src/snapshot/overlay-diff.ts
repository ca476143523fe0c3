import { closeSync, constants } from "node:fs";
import { type FileStat, openUnseen, type Syscalls } from "../core/index.ts";
import {
  type LayerEntryWithContent,
  type LocalTree,
  opaqueWhiteoutName,
  rootPath,
  type RootPath,
  whiteoutName,
} from "../layer/index.ts";
import { isDirectory, isWhiteout, type LayerDirectory, locate } from "./disk.ts";
import { entryOf, hardlinkEntry, markEntry } from "./file-entry.ts";
import type { LayerView } from "./layer-disk.ts";

export interface LayerPlace {
  readonly disk: LayerView;
  /** The state below the layer. */
  readonly lower: { readonly local: LocalTree };
}

/**
 * The entries of a layer in overlayfs form: parents before children, names in byte order, marks and whiteouts before the
 * other entries of their directory, later names of one file as hard links to the first.
 *
 * Whiteouts and opaque marks of what lower layers do not have are left out: overlayfs marks new directories as opaque
 * merely to save itself lookups. The root appears only when it changed.
 */
export function* overlayEntries(
  place: LayerPlace,
): Generator<LayerEntryWithContent, void, undefined> {
  const { disk } = place;
  const links = new Map<bigint, LayerEntryWithContent>();
  const pending: Listing[] = [];
  const root = changedRoot(place);
  if (root !== undefined) yield root;
  let listing: Listing | undefined = list(disk, { path: rootPath, absolute: disk.directory });
  yield* marksOf(place, listing);
  while (listing !== undefined) {
    const node: Node | undefined = listing.nodes.next().value;
    if (node === undefined) {
      listing = pending.pop();
      continue;
    }
    const { stat, path } = node;
    const isFolder = isDirectory(stat);
    const hasNames = stat.nlink > 1 && !isFolder;
    const first = hasNames ? links.get(stat.ino) : undefined;
    if (first !== undefined) {
      yield hardlinkEntry(first, { path, target: first.path });
      continue;
    }
    const entry = entryOf(disk, node);
    if (entry === undefined) continue;
    if (hasNames) links.set(stat.ino, entry);
    yield entry;
    if (!isFolder) continue;
    pending.push(listing);
    listing = list(disk, node);
    yield* marksOf(place, listing);
  }
}

/** A name in a layer. */
interface Place {
  readonly path: RootPath;
  readonly absolute: Buffer;
}

interface Node extends Place {
  readonly stat: FileStat;
}

interface Listing extends Place {
  readonly whiteouts: readonly RootPath[];
  /** All others. */
  readonly nodes: Iterator<Node, undefined>;
}

/** Of larger directories each node is looked at a second time: what was seen of 200,000 took 110 MB until all were told. */
const largestHeld = 4096;

function list(disk: LayerView, { path, absolute }: Place): Listing {
  const whiteouts: RootPath[] = [];
  const nodes: Node[] = [];
  // Latin-1 strings sort as their bytes do.
  const names = namesIn(disk.kernel, absolute).sort();
  const isHeld = names.length <= largestHeld;
  for (const name of names) {
    const node = lookAt(disk, absolute, name);
    if (node === undefined) continue;
    if (isWhiteout(node.stat)) whiteouts.push(node.path);
    else if (isHeld) nodes.push(node);
  }
  return {
    path,
    absolute,
    whiteouts,
    nodes: isHeld ? nodes.values() : nodesOf(disk, absolute, names),
  };
}

function* nodesOf(
  disk: LayerView,
  directory: Buffer,
  names: readonly string[],
): Generator<Node, undefined, undefined> {
  for (const name of names) {
    const node = lookAt(disk, directory, name);
    if (node !== undefined && !isWhiteout(node.stat)) yield node;
  }
  return undefined;
}

function lookAt(disk: LayerView, directory: Buffer, name: string): Node | undefined {
  const absolute = locate(directory, Buffer.from(name, "latin1"));
  const stat = disk.stat(absolute);
  return stat && { path: pathIn(disk.directory, absolute), absolute, stat };
}

function namesIn(kernel: Syscalls, directory: Buffer): string[] {
  const fd = openUnseen(directory, constants.O_DIRECTORY);
  try {
    return kernel.listNames(fd);
  } finally {
    closeSync(fd);
  }
}

function pathIn(directory: LayerDirectory, absolute: Buffer): RootPath {
  return absolute.subarray(directory.length + 1);
}

function* marksOf(
  { disk, lower }: LayerPlace,
  { path, absolute, whiteouts }: Listing,
): Generator<LayerEntryWithContent, void, undefined> {
  const hasLower = path.length > 0 && lower.local.lstat(path)?.type === "directory";
  // The disk is asked last: what lies below is known where the directory above is new.
  const isMarked = (hasLower || whiteouts.length > 0) && path.length > 0 && disk.isOpaque(absolute);
  if (isMarked && hasLower) yield markEntry(opaqueWhiteoutName(path));
  for (const removed of whiteouts) {
    const isBelow = !isMarked && lower.local.lstat(removed) !== undefined;
    if (isBelow) yield markEntry(whiteoutName(removed));
  }
}

/** The root of the layer, where it does not look like the one below. */
function changedRoot({ disk, lower: { local } }: LayerPlace): LayerEntryWithContent | undefined {
  const stat = disk.stat(disk.directory);
  const below = local.lstat(rootPath);
  if (stat === undefined || below === undefined) return undefined;
  const entry = entryOf(disk, { path: rootPath, absolute: disk.directory, stat });
  if (entry === undefined) return undefined;
  const looks = ["mode", "uid", "gid", "mtime"] as const;
  const isSame = looks.every((field) => entry[field] === below[field]);
  const xattrs = entry.xattrs ?? new Map<string, Buffer>();
  return isSame && sameXattrs(xattrs, local.xattrs(rootPath)) ? undefined : entry;
}

export function sameXattrs(
  a: ReadonlyMap<string, Buffer>,
  b: ReadonlyMap<string, Buffer>,
): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true);
}
