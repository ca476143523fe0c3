import { readdirSync, readlinkSync } from "node:fs";
import type { FileStat } from "../core/index.ts";
import type { MergedTree, NodeStat, OpenedFile, RootPath } from "../layer/index.ts";
import { isDirectory, isFile, isWhiteout, locate, nodeStat, openInLayer } from "./disk.ts";
import type { LayerView } from "./layer-disk.ts";
import { notDirectory, notFile, notFound, openedFile, type StackTree } from "./stack-tree.ts";

/** What the changing layer says about a path. */
type Answer =
  | { readonly type: "here"; readonly stat: FileStat; readonly hidesLower: boolean }
  /** Nothing: the lower tree decides. */
  | { readonly type: "lower" }
  | { readonly type: "gone" };

const liveLayer = -1;

/** Directories of the layer on the way that was asked for last. */
interface Trail {
  readonly version: number;
  /** The last of them; every path above it is a directory as well. */
  readonly path: RootPath;
  /** Length of the first path on the way that hides what is below; Infinity when none does. */
  readonly hiddenFrom: number;
}

/**
 * A layer that is being written, on a tree that stays. Of the layer only the way to the node that was asked for last is
 * remembered: who resolves a path asks for each of its parents in turn, and would come by all of them each time.
 */
export class LiveTree implements MergedTree {
  readonly #disk: LayerView;
  readonly #lower: StackTree;
  #trail: Trail | undefined;

  constructor(options: { readonly disk: LayerView; readonly lower: StackTree }) {
    this.#disk = options.disk;
    this.#lower = options.lower;
  }

  async lstat(path: RootPath): Promise<NodeStat | undefined> {
    const answer = this.#ask(path);
    if (answer.type === "here") return nodeStat(answer.stat, liveLayer);
    return answer.type === "gone" ? undefined : this.#lower.lstat(path);
  }

  async readdir(path: RootPath): Promise<readonly Buffer[]> {
    const answer = this.#ask(path);
    if (answer.type === "gone") throw notFound(path);
    if (answer.type === "lower") return this.#lower.readdir(path);
    if (!isDirectory(answer.stat)) throw notDirectory(path);
    const names = await this.#lowerNames(path, answer.hidesLower);
    const absolute = locate(this.#disk.directory, path);
    for (const name of readdirSync(absolute, { encoding: "latin1" })) {
      const stat = this.#disk.stat(locate(absolute, Buffer.from(name, "latin1")));
      if (stat === undefined || isWhiteout(stat)) names.delete(name);
      else names.add(name);
    }
    return [...names].sort().map((name) => Buffer.from(name, "latin1"));
  }

  async readlink(path: RootPath): Promise<Buffer> {
    if (this.#isLower(path)) return this.#lower.readlink(path);
    return readlinkSync(locate(this.#disk.directory, path), { encoding: "buffer" });
  }

  async openFile(path: RootPath): Promise<OpenedFile> {
    const answer = this.#ask(path);
    if (answer.type === "lower") return this.#lower.openFile(path);
    if (answer.type === "gone") throw notFound(path);
    if (!isFile(answer.stat)) throw notFile(path);
    return openedFile(openInLayer(this.#disk.kernel, this.#disk.directory, path));
  }

  async xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>> {
    if (this.#isLower(path)) return this.#lower.xattrs(path);
    return this.#disk.xattrs(locate(this.#disk.directory, path)) ?? new Map();
  }

  /** See StackTree. */
  showsBelow(path: RootPath): boolean {
    return this.#ask(path).type === "lower" && this.#lower.showsBelow(path);
  }

  /** Whether the lower tree answers. @throws SNAPSHOT_ENTRY_NOT_FOUND when the node is gone */
  #isLower(path: RootPath): boolean {
    const answer = this.#ask(path);
    if (answer.type === "gone") throw notFound(path);
    return answer.type === "lower";
  }

  async #lowerNames(path: RootPath, hidesLower: boolean): Promise<Set<string>> {
    if (hidesLower || (await this.#lower.lstat(path))?.type !== "directory") return new Set();
    return new Set((await this.#lower.readdir(path)).map((name) => name.toString("latin1")));
  }

  #ask(path: RootPath): Answer {
    let { end, hiddenFrom } = this.#knownWay(path);
    let directory = -1;
    try {
      for (;;) {
        const hidesLower = hiddenFrom < end;
        const absolute = locate(this.#disk.directory, path.subarray(0, end));
        const stat = this.#disk.stat(absolute);
        if (stat === undefined) return hidesLower ? { type: "gone" } : { type: "lower" };
        if (isWhiteout(stat)) return { type: "gone" };
        if (isDirectory(stat)) {
          directory = end;
          // The root of a layer is merged with the roots below whatever its mark says.
          if (end > 0 && !hidesLower && this.#disk.isOpaque(absolute)) hiddenFrom = end;
        }
        if (end === path.length) return { type: "here", stat, hidesLower: hiddenFrom <= end };
        if (directory !== end) return { type: "gone" };
        end = endOfNext(path, end);
      }
    } finally {
      const { version } = this.#disk;
      const isFound = version !== undefined && directory >= 0;
      if (isFound) this.#trail = { version, path: path.subarray(0, directory), hiddenFrom };
    }
  }

  /** Up to where (at least one component before the end of) `path` need not be looked at again. */
  #knownWay(path: RootPath): { readonly end: number; readonly hiddenFrom: number } {
    const trail = this.#trail;
    if (trail === undefined || trail.version !== this.#disk.version || path.length === 0)
      return { end: 0, hiddenFrom: Infinity };
    const shared = sharedWay(path, trail.path);
    const hiddenFrom = trail.hiddenFrom <= shared ? trail.hiddenFrom : Infinity;
    return { end: endOfNext(path, shared), hiddenFrom };
  }
}

/** End of the component behind the one that ends at `end`. */
function endOfNext(path: RootPath, end: number): number {
  const slash = path.indexOf(0x2f, end + 1);
  return slash === -1 ? path.length : slash;
}

/** Length of the deepest directory above `path` (not `path` itself) that is `way` or above it. */
function sharedWay(path: RootPath, way: RootPath): number {
  let shared = 0;
  for (let at = 0; at < path.length; at++) {
    const isEnd = at === way.length || way[at] === 0x2f;
    if (path[at] === 0x2f && isEnd) shared = at;
    if (at === way.length || path[at] !== way[at]) break;
  }
  return shared;
}
