import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { type Digest, monotonicMs } from "../core/index.ts";
import {
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPathToString,
  type LocalTree,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../layer/index.ts";
import { parseExcludes, type Excludes } from "./ignore/parse-excludes.ts";
import { digestLocalNode, digestNode, smallSize } from "./node-digest.ts";
import type { BuildContext, FileDigest, HostNodeStat, StatCache, StatKey } from "./types.ts";

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
  readonly signal?: AbortSignal | undefined;
}

/** Reads that wait for a disk at the same time. */
const concurrency = 8;
/** Characters that are hashed in one go; all lines of a large tree would be tens of megabytes. */
const linesAtOnce = 64 * 1024;
/** Directory contexts answer without a pause; so often timers and signals get their turn. */
const turnMs = 20;

/**
 * Digests of everything that copying the selection reads: of each path, and of all that lies below a directory. A
 * directory comes before its content, names are in byte order. A file that the stat cache knows is not read.
 *
 * A selected symlink is followed, and counts under its own name; those inside a directory, and all of them with
 * `parents`, count as links.
 *
 * @throws CONTEXT_FILE_CHANGED when a file changes while it is read; CONTEXT_UNREADABLE
 */
export async function checksumSelection(selection: Selection): Promise<FileDigest[]> {
  const run = new ChecksumRun(selection);
  try {
    for (const path of selection.paths) await run.addSource(path);
  } finally {
    await run.settle();
  }
  return run.files();
}

/** One digest over a list of digests and their paths: equal when nothing was added, removed, renamed or changed. */
export function selectionDigest(files: readonly FileDigest[]): Digest {
  const hash = createHash("sha256");
  let lines = "";
  for (const { path, digest } of files) {
    lines += `${digest} ${String(path.length)}:${path}\n`;
    if (lines.length < linesAtOnce) continue;
    hash.update(lines);
    lines = "";
  }
  return `sha256:${hash.update(lines).digest("hex")}` as Digest;
}

interface Found {
  readonly path: RootPath;
  /** As it is listed. */
  readonly name: string;
  readonly stat: NodeStat;
}

class ChecksumRun {
  readonly #tree: MergedTree;
  readonly #local: LocalTree | undefined;
  #isPrepared = false;
  readonly #context: BuildContext | undefined;
  readonly #cache: StatCache | undefined;
  readonly #excludes: Excludes;
  readonly #selection: Selection;
  readonly #files: (FileDigest | undefined)[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #listedParents = new Set<string>();
  #failure: { readonly error: unknown } | undefined;
  #turnEnds = monotonicMs() + turnMs;

  constructor(selection: Selection) {
    this.#selection = selection;
    this.#tree = selection.tree;
    this.#local = selection.tree.local;
    this.#context = isContext(selection.tree) ? selection.tree : undefined;
    this.#cache = selection.statCache ?? this.#context?.statCache;
    this.#excludes = parseExcludes(selection.exclude ?? []);
  }

  async addSource(path: RootPath): Promise<void> {
    this.#selection.signal?.throwIfAborted();
    // `--parents` copies a selected link as a link.
    const followLast = this.#selection.parents !== true;
    const real = await resolvePath(this.#tree, path, { followLast });
    const stat = await this.#tree.lstat(real);
    if (stat === undefined) return;
    if (this.#selection.parents === true) await this.#addParents(path);
    const name = path.length === 0 ? "." : rootPathToString(path);
    await this.#add({ path: real, name, stat });
    if (stat.type === "directory")
      await this.#addChildren({
        path: real,
        prefix: path.length === 0 ? "" : `${name}/`,
        root: real,
      });
  }

  /** Waits until no file is open any more. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
  }

  files(): FileDigest[] {
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#files.filter((file) => file !== undefined);
  }

  async #addParents(path: RootPath): Promise<void> {
    const parents: RootPath[] = [];
    for (let at = parentRootPath(path); at !== undefined && at.length > 0; at = parentRootPath(at))
      parents.unshift(at);
    for (const parent of parents) {
      const name = rootPathToString(parent);
      const stat = this.#listedParents.has(name) ? undefined : await this.#tree.lstat(parent);
      this.#listedParents.add(name);
      if (stat !== undefined) await this.#add({ path: parent, name, stat });
    }
  }

  async #addChildren(place: {
    readonly path: RootPath;
    readonly prefix: string;
    readonly root: RootPath;
  }): Promise<void> {
    const local = this.#local;
    for (const child of local?.readdir(place.path) ?? (await this.#tree.readdir(place.path))) {
      if (monotonicMs() >= this.#turnEnds) await this.#takeTurn();
      const path = joinRootPath(place.path, child);
      const stat = local === undefined ? await this.#tree.lstat(path) : local.lstat(path);
      if (stat === undefined) continue;
      const name = place.prefix + rootPathToString(child);
      const relative = place.root.length === 0 ? path : path.subarray(place.root.length + 1);
      const isExcluded = this.#excludes.isExcluded(relative);
      if (!isExcluded && !this.#addAtOnce({ path, name, stat }))
        await this.#add({ path, name, stat });
      if (stat.type !== "directory") continue;
      if (isExcluded && this.#excludes.canSkipDirectory(relative)) continue;
      await this.#addChildren({ path, prefix: `${name}/`, root: place.root });
    }
  }

  /** False when that would take waiting. Most nodes take none, and a promise costs as much as a system call. */
  #addAtOnce(found: Found): boolean {
    const known = this.#known(found);
    if (known !== undefined) {
      this.#files.push(known);
      return true;
    }
    if (this.#local === undefined || !this.#isPrepared || found.stat.size > smallSize) return false;
    const readAt = now();
    const digest = digestLocalNode({ tree: this.#local, path: found.path, stat: found.stat });
    if (digest instanceof Promise) throw new Error("small files are digested at once");
    this.#files.push(this.#learn(found, { digest, readAt }));
    return true;
  }

  async #add(found: Found): Promise<void> {
    const slot = this.#files.push(this.#known(found)) - 1;
    if (this.#files[slot] !== undefined) return;
    const work = this.#digest(found, slot)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#pending.delete(work));
    this.#pending.add(work);
    if (this.#pending.size >= concurrency) await Promise.race(this.#pending);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #known(found: Found): FileDigest | undefined {
    const { name, stat } = found;
    const version = versionOf(stat);
    const digest = version === undefined ? undefined : this.#cache?.get(version);
    if (digest === undefined) return undefined;
    this.#pin(found, version);
    return { path: name, digest, mode: stat.mode };
  }

  async #digest(found: Found, slot: number): Promise<void> {
    const { path, stat } = found;
    const local = this.#local;
    await local?.prepare();
    this.#isPrepared = true;
    const readAt = now();
    const digest = await (local === undefined
      ? digestNode({ tree: this.#tree, path, stat })
      : digestLocalNode({ tree: local, path, stat }));
    this.#files[slot] = this.#learn(found, { digest, readAt });
  }

  #learn(found: Found, read: { readonly digest: Digest; readonly readAt: bigint }): FileDigest {
    const { name, stat } = found;
    const version = versionOf(stat);
    if (version !== undefined) this.#cache?.set({ key: version, ...read });
    this.#pin(found, version);
    return { path: name, digest: read.digest, mode: stat.mode };
  }

  #pin({ path, stat }: Found, version: StatKey | undefined): void {
    if (stat.type === "file" && version !== undefined) this.#context?.pin(path, version);
  }

  async #takeTurn(): Promise<void> {
    this.#selection.signal?.throwIfAborted();
    await setImmediate();
    this.#turnEnds = monotonicMs() + turnMs;
  }
}

/** Nanoseconds since the epoch. */
function now(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

function versionOf(stat: NodeStat): StatKey | undefined {
  return "statKey" in stat ? (stat as HostNodeStat).statKey : undefined;
}

function isContext(tree: MergedTree): tree is BuildContext {
  return "pin" in tree;
}
