import { setImmediate as breathe } from "node:timers/promises";
import { readdirSync, readlinkSync, readSync } from "node:fs";
import type { FileStat } from "../core/index.ts";
import {
  joinRootPath,
  type LayerEntryWithContent,
  type MergedTree,
  rootPath,
  type RootPath,
  whiteoutName,
} from "../layer/index.ts";
import { isDirectory, locate, nodeStat, openInLayer } from "./disk.ts";
import { entryOf, hardlinkEntry, markEntry } from "./file-entry.ts";
import { type LayerPlace, sameXattrs } from "./overlay-diff.ts";
import { openedFile } from "./stack-tree.ts";

export interface ComparedTrees extends Pick<LayerPlace, "disk"> {
  readonly lower: MergedTree;
  /** What is known to be the same in both, without a closer look. */
  readonly isUntouched: (path: RootPath, stat: FileStat) => boolean;
}

/**
 * The entries that turn tree `lower` into the complete tree of `disk`, in the order of `overlayEntries`. Files of equal
 * size and time that were touched are compared byte by byte: a process can set any time it likes.
 */
export async function* comparedEntries(
  trees: ComparedTrees,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const root = trees.disk.stat(trees.disk.directory);
  if (root !== undefined) yield* new Comparison(trees).node(rootPath, root);
}

class Comparison {
  readonly #trees: ComparedTrees;
  /** First name of each file with several, and whether it has an entry of its own. */
  readonly #links = new Map<bigint, { readonly entry: LayerEntryWithContent; isTold: boolean }>();

  constructor(trees: ComparedTrees) {
    this.#trees = trees;
  }

  async *node(
    path: RootPath,
    stat: FileStat,
  ): AsyncGenerator<LayerEntryWithContent, void, undefined> {
    const { disk, isUntouched } = this.#trees;
    const absolute = locate(disk.directory, path);
    const isChanged = !isUntouched(path, stat) && (await this.#isChanged(path, stat));
    const isLinked = stat.nlink > 1 && !isDirectory(stat);
    if (isChanged || isLinked) {
      const entry = entryOf(disk, { path, absolute, stat });
      if (entry === undefined) return;
      const first = this.#links.get(stat.ino);
      if (first !== undefined && isLinked) {
        // Also an unchanged name is told again when its partner was, or the two would come apart.
        const { path: target } = first.entry;
        if (isChanged || first.isTold) yield hardlinkEntry(entry, { path, target });
        return;
      }
      if (isLinked) this.#links.set(stat.ino, { entry, isTold: isChanged });
      if (isChanged) yield entry;
    }
    if (isDirectory(stat)) yield* this.#children(path, isUntouched(path, stat));
  }

  async *#children(
    path: RootPath,
    hasSameNames: boolean,
  ): AsyncGenerator<LayerEntryWithContent, void, undefined> {
    const { disk, lower, isUntouched } = this.#trees;
    // Latin-1 strings sort as their bytes do.
    const names = readdirSync(locate(disk.directory, path), { encoding: "latin1" }).sort();
    if (!hasSameNames && (await lower.lstat(path))?.type === "directory") {
      const present = new Set(names);
      for (const name of await lower.readdir(path)) {
        if (!present.has(name.toString("latin1")))
          yield markEntry(whiteoutName(joinRootPath(path, name)));
      }
    }
    for (const name of names) {
      const child = joinRootPath(path, Buffer.from(name, "latin1"));
      const stat = disk.stat(locate(disk.directory, child));
      if (stat === undefined) continue;
      const isPlain = stat.nlink === 1 && !isDirectory(stat);
      if (!isPlain || !isUntouched(child, stat)) yield* this.node(child, stat);
    }
  }

  async #isChanged(path: RootPath, stat: FileStat): Promise<boolean> {
    const { disk, lower } = this.#trees;
    const before = await lower.lstat(path);
    const now = nodeStat(stat, 0);
    if (before === undefined || before.type !== now.type) return true;
    const numbers = ["mode", "uid", "gid", "size", "mtime", "devMajor", "devMinor"] as const;
    if (numbers.some((field) => before[field] !== now[field])) return true;
    const absolute = locate(disk.directory, path);
    if (!sameXattrs(await lower.xattrs(path), disk.xattrs(absolute) ?? new Map())) return true;
    if (now.type === "symlink") return !(await lower.readlink(path)).equals(readLink(absolute));
    return now.type === "file" && !(await this.#sameContent(path));
  }

  async #sameContent(path: RootPath): Promise<boolean> {
    const { disk, lower } = this.#trees;
    const a = await lower.openFile(path);
    const b = openedFile(openInLayer(disk.kernel, disk.directory, path));
    try {
      const [one, other] = [Buffer.allocUnsafe(chunkSize), Buffer.allocUnsafe(chunkSize)];
      for (let position = 0; ; position += chunkSize) {
        const length = readSync(a.fd, one, 0, chunkSize, position);
        if (readSync(b.fd, other, 0, chunkSize, position) !== length) return false;
        if (!one.subarray(0, length).equals(other.subarray(0, length))) return false;
        if (length < chunkSize) return true;
        await breathe();
      }
    } finally {
      await Promise.all([a.close(), b.close()]);
    }
  }
}

/** Bytes that are compared at a time. */
const chunkSize = 1 << 18;

function readLink(absolute: Buffer): Buffer {
  return readlinkSync(absolute, { encoding: "buffer" });
}
