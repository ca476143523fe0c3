import { setImmediate } from "node:timers/promises";
import { type JobThread, monotonicMs, tellPath } from "../core/index.ts";
import {
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPathToString,
  type LocalTree,
  type MergedTree,
  type RootPath,
} from "../layer/index.ts";
import { DigestBatches, type BatchedFile } from "./digest-batches.ts";
import type { FileDigests } from "./file-digests.ts";
import {
  type Found,
  FoundFiles,
  listedBelow,
  nanosecondsNow,
  type Source,
  sourceOf,
} from "./found-files.ts";
import { parseExcludes, type Excludes } from "./ignore/parse-excludes.ts";
import { digestLocalNode, digestNode, smallSize } from "./node-digest.ts";
import type { DigestBytes, StatCache } from "./types.ts";

export interface Selection {
  readonly tree: MergedTree;
  /** As `selectSources` gives them. */
  readonly paths: readonly RootPath[];
  /** Patterns of `--exclude`, relative to each selected directory. */
  readonly exclude?: readonly string[] | undefined;
  /** `--parents`: the directories above each path are copied too, so they count. */
  readonly parents?: boolean | undefined;
  /** The tree's own unless given. */
  readonly statCache?: StatCache | undefined;
  /** Takes a half of the digests where there are many. */
  readonly thread?: JobThread | undefined;
  readonly signal?: AbortSignal | undefined;
}

const noName = Buffer.alloc(0);
/** Reads that wait for a disk at the same time. */
const concurrency = 8;
/** Small files whose digests are taken here before a thread is started for others: it costs as much as these. */
const filesAlone = 500;
/** Directory contexts answer without a pause; so often timers and signals get their turn. */
const turnMs = 20;
/** Nodes for which the clock is looked at once. */
const stepsInTurn = 16;

/**
 * Digests of everything that copying the selection reads: of each path, and of all that lies below a directory. A
 * directory comes before its content, names are in byte order. A file that the stat cache knows is not read.
 *
 * A selected symlink is followed, and counts under its own name; those inside a directory, and all of them with
 * `parents`, count as links.
 *
 * @throws CONTEXT_FILE_CHANGED when a file changes while it is read; CONTEXT_UNREADABLE
 */
export async function checksumSelection(selection: Selection): Promise<FileDigests> {
  const run = new ChecksumRun(selection);
  try {
    for (const path of selection.paths) await run.addSource(path);
  } catch (error) {
    await run.settle();
    throw run.failure?.error ?? error;
  }
  await run.settle();
  return run.files();
}

/** A file that is in the hands of the other thread, and where its digest is to stand in the list. */
interface FoundFile extends Found, BatchedFile {
  readonly slot: number;
  readonly readAt: bigint;
}

class ChecksumRun {
  readonly #tree: MergedTree;
  readonly #local: LocalTree | undefined;
  #isPrepared = false;
  readonly #excludes: Excludes;
  readonly #selection: Selection;
  readonly #found: FoundFiles;
  readonly #pending = new Set<Promise<void>>();
  readonly #listedParents = new Set<string>();
  readonly #batches: DigestBatches<FoundFile> | undefined;
  #filesAlone = 0;
  failure: { readonly error: unknown; readonly slot: number } | undefined;
  #turnEnds = monotonicMs() + turnMs;
  #steps = 0;

  constructor(selection: Selection) {
    this.#selection = selection;
    this.#tree = selection.tree;
    this.#local = selection.tree.local;
    this.#found = new FoundFiles(selection.tree, selection.statCache);
    this.#excludes = parseExcludes(selection.exclude ?? []);
    const { thread } = selection;
    if (thread !== undefined && this.#local !== undefined)
      this.#batches = new DigestBatches(thread, (file, digest) => {
        this.#takeBack(file, digest);
      });
  }

  async addSource(path: RootPath): Promise<void> {
    this.#selection.signal?.throwIfAborted();
    // `--parents` copies a selected link as a link.
    const followLast = this.#selection.parents !== true;
    const real = await resolvePath(this.#tree, path, { followLast });
    const stat = await this.#tree.lstat(real);
    if (stat === undefined) return;
    if (this.#selection.parents === true) await this.#addParents(path);
    const source = sourceOf(path, real);
    await this.#add({ path: real, name: source.name, stat });
    if (stat.type === "directory") await this.#addChildren(real, source);
  }

  /** Waits until no file is open any more. */
  async settle(): Promise<void> {
    await this.#batches?.settle();
    await Promise.all(this.#pending);
  }

  files(): FileDigests {
    if (this.failure !== undefined) throw this.failure.error;
    return this.#found.files;
  }

  async #addParents(path: RootPath): Promise<void> {
    const parents: RootPath[] = [];
    for (let at = parentRootPath(path); at !== undefined && at.length > 0; at = parentRootPath(at))
      parents.unshift(at);
    for (const parent of parents) {
      const { name } = sourceOf(parent, parent);
      const stat = this.#listedParents.has(name) ? undefined : await this.#tree.lstat(parent);
      this.#listedParents.add(name);
      if (stat !== undefined) await this.#add({ path: parent, name, stat });
    }
  }

  async #addChildren(directory: RootPath, source: Source): Promise<void> {
    const local = this.#local;
    const names = local?.readdir(directory) ?? (await this.#tree.readdir(directory));
    for (let index = 0; index < names.length; index++) {
      // The clock takes a microsecond to be read.
      if (++this.#steps % stepsInTurn === 0 && monotonicMs() >= this.#turnEnds)
        await this.#takeTurn();
      const path = joinRootPath(directory, names.at(index) ?? noName);
      const stat = local === undefined ? await this.#tree.lstat(path) : local.lstatListed(path);
      if (stat === undefined) continue;
      const name = listedBelow(source, path);
      const { relative } = name;
      const isExcluded = this.#excludes.isExcluded(relative);
      const found = { path, name, stat };
      if (!isExcluded && !this.#addAtOnce(found)) await this.#add(found);
      if (stat.type !== "directory") continue;
      if (isExcluded && this.#excludes.canSkipDirectory(relative)) continue;
      await this.#addChildren(path, source);
    }
  }

  /** False when that would take waiting. Most nodes take none, and a promise costs as much as a system call. */
  #addAtOnce(found: Found): boolean {
    const { stat } = found;
    const known = this.#found.known(found);
    const local = this.#isPrepared && stat.size <= smallSize ? this.#local : undefined;
    if (known === undefined && local === undefined) return false;
    const slot = this.#found.add(found);
    if (known !== undefined) this.#found.files.setDigest(slot, known);
    else if (stat.type !== "file" || local === undefined || !this.#handOver(found, { local, slot }))
      this.#digestAtOnce(found, slot);
    if (this.failure !== undefined) throw this.failure.error;
    return true;
  }

  /** Gives a file to the other thread, when there is one and it has nothing better to do. */
  #handOver(
    found: Found,
    { local, slot }: { readonly local: LocalTree; readonly slot: number },
  ): boolean {
    if (this.#batches === undefined) return false;
    if (++this.#filesAlone <= filesAlone) return false;
    this.#selection.thread?.start();
    const { path, name, stat } = found;
    const place = local.placeOf(path, stat);
    if (place === undefined) return false;
    const version = stat.statKey;
    return this.#batches.take({ path, name, stat, slot, place, version, readAt: nanosecondsNow() });
  }

  #takeBack(file: FoundFile, digest: DigestBytes | undefined): void {
    if (digest === undefined) this.#digestAtOnce(file, file.slot);
    else this.#found.learn(file, { slot: file.slot, digest, readAt: file.readAt });
  }

  #digestAtOnce(found: Found, slot: number): void {
    const { path, stat } = found;
    const readAt = nanosecondsNow();
    try {
      if (this.#local === undefined) throw new Error("only local trees answer at once");
      const digest = digestLocalNode({ tree: this.#local, path, stat });
      if (digest instanceof Promise) throw new Error("small files are digested at once");
      this.#found.learn(found, { slot, digest, readAt });
    } catch (error) {
      this.#fail(tellPath(error, rootPathToString(path)), slot);
    }
  }

  /** Of several failures the first in the order of the list counts, whoever was the first to find one. */
  #fail(error: unknown, slot: number): void {
    if (this.failure === undefined || slot < this.failure.slot) this.failure = { error, slot };
  }

  async #add(found: Found): Promise<void> {
    const slot = this.#found.add(found);
    const known = this.#found.known(found);
    if (known !== undefined) {
      this.#found.files.setDigest(slot, known);
      return;
    }
    const work = this.#digest(found, slot)
      .catch((error: unknown) => {
        this.#fail(tellPath(error, rootPathToString(found.path)), slot);
      })
      .finally(() => this.#pending.delete(work));
    this.#pending.add(work);
    if (this.#pending.size >= concurrency) await Promise.race(this.#pending);
    if (this.failure !== undefined) throw this.failure.error;
  }

  async #digest(found: Found, slot: number): Promise<void> {
    const { path, stat } = found;
    const local = this.#local;
    await local?.prepare();
    this.#isPrepared = true;
    const readAt = nanosecondsNow();
    const node = { path, stat, signal: this.#selection.signal };
    const digest = await (local === undefined
      ? digestNode({ ...node, tree: this.#tree })
      : digestLocalNode({ ...node, tree: local }));
    this.#found.learn(found, { slot, digest, readAt });
  }

  async #takeTurn(): Promise<void> {
    this.#selection.signal?.throwIfAborted();
    await setImmediate();
    this.#turnEnds = monotonicMs() + turnMs;
  }
}
