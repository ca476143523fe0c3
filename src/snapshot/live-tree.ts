import { readdirSync, readlinkSync, type BigIntStats } from "node:fs";
import type { MergedTree, NodeStat, OpenedFile, RootPath } from "../layer/index.ts";
import { isWhiteout, locate, nodeStat, openInLayer } from "./disk.ts";
import type { LayerView } from "./layer-disk.ts";
import { notDirectory, notFile, notFound, openedFile, type StackTree } from "./stack-tree.ts";

/** What the changing layer says about a path. */
type Answer =
  | { readonly type: "here"; readonly stat: BigIntStats; readonly hidesLower: boolean }
  /** Nothing: the lower tree decides. */
  | { readonly type: "lower" }
  | { readonly type: "gone" };

const liveLayer = -1;

/** A layer that is being written, on a tree that stays. Nothing about the layer is remembered between calls. */
export class LiveTree implements MergedTree {
  readonly #disk: LayerView;
  readonly #lower: StackTree;

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
    if (!answer.stat.isDirectory()) throw notDirectory(path);
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
    if (!answer.stat.isFile()) throw notFile(path);
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
    let hidesLower = false;
    for (let end = 0; ;) {
      const prefix = path.subarray(0, end);
      const absolute = locate(this.#disk.directory, prefix);
      const stat = this.#disk.stat(absolute);
      if (stat === undefined) return hidesLower ? { type: "gone" } : { type: "lower" };
      if (isWhiteout(stat)) return { type: "gone" };
      const isDirectory = stat.isDirectory();
      // The root of a layer is merged with the roots below whatever its mark says.
      if (isDirectory && end > 0 && !hidesLower) hidesLower = this.#disk.isOpaque(absolute);
      if (end === path.length) return { type: "here", stat, hidesLower };
      if (!isDirectory) return { type: "gone" };
      const slash = path.indexOf(0x2f, end + 1);
      end = slash === -1 ? path.length : slash;
    }
  }
}
