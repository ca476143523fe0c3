import type { PlainFiles } from "../core/index.ts";
import {
  rootPathToString,
  type MergedTree,
  type NodeStat,
  type PlainTree,
  type RootPath,
} from "../layer/index.ts";
import { bytesOf } from "./byte-strings.ts";
import { FileDigests, type NumberedPaths } from "./file-digests.ts";
import type { BuildContext, DigestBytes, StatCache, StatKey, StatRow } from "./types.ts";

/** A node that counts. */
export interface Found {
  readonly path: RootPath;
  /** As it is listed. */
  readonly name: string | ListedBelow;
  readonly stat: NodeStat;
}

/** A selected directory: what lies in it is listed by its path behind `prefix`. */
export interface Source {
  /** Where it is. */
  readonly root: RootPath;
  readonly prefix: string;
}

/** A node in a selected directory. */
export interface ListedBelow {
  readonly source: Source;
  readonly relative: RootPath;
}

/** The name by which a selected path is listed, and what lies in it, if it is a directory that lies at `root`. */
export function sourceOf(path: RootPath, root: RootPath): Source & { readonly name: string } {
  const name = path.length === 0 ? "." : rootPathToString(path);
  return { name, root, prefix: path.length === 0 ? "" : `${name}/` };
}

/** `path`, a node in the source. */
export function listedBelow(source: Source, path: RootPath): ListedBelow {
  const { length } = source.root;
  return { source, relative: length === 0 ? path : path.subarray(length + 1) };
}

/** What is found in a tree, in its order, with the digests that the stat cache knows, and learns. */
export class FoundFiles {
  readonly files = new FileDigests();
  readonly #context: BuildContext | undefined;
  readonly #plain: PlainTree | undefined;
  readonly #cache: StatCache | undefined;

  /** Without a stat cache the tree's own is used. */
  constructor(tree: MergedTree, statCache?: StatCache) {
    this.#context = isContext(tree) ? tree : undefined;
    this.#plain = tree.local?.plain;
    this.#cache = statCache ?? this.#context?.statCache;
  }

  /** Adds a node at the end, and answers its place. Its digest is to follow. */
  add({ name, stat }: Found): number {
    const { mode } = stat;
    if (typeof name === "string") return this.files.add({ path: name, mode });
    const { source, relative } = name;
    const version = stat.statKey;
    const paths = this.#cache?.rows.paths;
    if (version === undefined || paths === undefined)
      return this.files.add({ path: source.prefix + rootPathToString(relative), mode });
    const naming = { paths, cut: version.path.length - relative.length, prefix: source.prefix };
    return this.files.addNumbered({ number: paths.add(version.path), mode }, naming);
  }

  /** What the stat cache knows of this version. */
  known({ stat }: Found): DigestBytes | undefined {
    return stat.statKey && this.#known(stat.statKey, canChange(stat));
  }

  /** The digest of the node at place `slot`; `readAt` as StatCache has it. */
  learn({ stat }: Found, { slot, digest, readAt }: Learnt): void {
    if (stat.statKey !== undefined) this.#learn(stat.statKey, canChange(stat), { digest, readAt });
    this.files.setDigest(slot, digest);
  }

  /** Adds the first `count` of these files, as `add` does with each. */
  addPlain(
    { files, count }: { readonly files: PlainFiles; readonly count: number },
    { prefix, cut }: Pick<NumberedPaths, "prefix" | "cut">,
  ): FoundPlain {
    const first = this.files.length;
    const { modes } = files;
    const paths = this.#cache?.rows.paths;
    if (paths === undefined) {
      for (let index = 0; index < count; index++) {
        const below = rootPathToString(bytesOf(files.pathOf(index).slice(cut)));
        this.files.add({ path: prefix + below, mode: modes[index] ?? 0 });
      }
      return { files, first, numbers: files.numbers };
    }
    const numbers = paths.addAll(files);
    this.files.addRow({ numbers, modes, count }, { paths, prefix, cut });
    return { files, first, numbers };
  }

  /** Whether the stat cache knows one of them; its digest is taken from there then. */
  takePlain(found: FoundPlain, index: number): boolean {
    const digest = this.#cache?.rows.get(rowOf(found, index));
    if (digest === undefined) return false;
    this.#plain?.counted(found.files, index);
    this.files.setDigest(found.first + index, digest);
    return true;
  }

  /** The digest of one of them; `readAt` as StatCache has it. */
  learnPlain(found: FoundPlain, index: number, read: Omit<Learnt, "slot">): void {
    this.#cache?.rows.set(rowOf(found, index), read);
    this.#plain?.counted(found.files, index);
    this.files.setDigest(found.first + index, read.digest);
  }

  #known(version: StatKey, isPinned: boolean): DigestBytes | undefined {
    const digest = this.#cache?.get(version);
    if (isPinned && digest !== undefined) this.#context?.pin(version);
    return digest;
  }

  #learn(version: StatKey, isPinned: boolean, read: Omit<Learnt, "slot">): void {
    this.#cache?.set({ key: version, digest: read.digest, readAt: read.readAt });
    if (isPinned) this.#context?.pin(version);
  }
}

/** Files that were found together. */
export interface FoundPlain {
  readonly files: PlainFiles;
  /** The place of the first; the others are behind it. */
  readonly first: number;
  /** Of their paths, where there is a stat cache. */
  readonly numbers: Uint32Array;
}

function rowOf({ files, numbers }: FoundPlain, index: number): StatRow {
  return { number: numbers[index] ?? 0, versions: files.versions, index };
}

interface Learnt {
  readonly slot: number;
  readonly digest: DigestBytes;
  readonly readAt: bigint;
}

/** Whether another version of the node may be copied than was counted. */
function canChange({ type }: NodeStat): boolean {
  return type === "file" || type === "symlink";
}

/** Nanoseconds since the epoch. */
export function nanosecondsNow(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

function isContext(tree: MergedTree): tree is BuildContext {
  return "pin" in tree;
}
