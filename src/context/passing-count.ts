import type { PlainFiles } from "../core/index.ts";
import type { LocalTree, MergedTree, NodeStat, RootPath } from "../layer/index.ts";
import type { FileDigests } from "./file-digests.ts";
import {
  type Found,
  FoundFiles,
  type FoundPlain,
  listedBelow,
  nanosecondsNow,
  type Source,
  sourceOf,
} from "./found-files.ts";
import { digestLocalNode, plainHead } from "./node-digest.ts";
import type { DigestBytes, StatCache } from "./types.ts";

/** Nodes for which the clock is read once. A time before the reading is true, too: it only trusts fewer files. */
const nodesAtOneTime = 64;

export interface PassingSource {
  /** Answers at once. */
  readonly tree: MergedTree;
  /** The directory, as `selectSources` gives it. */
  readonly path: RootPath;
  /** Where it lies: symlinks followed. */
  readonly root: RootPath;
  /** The tree's own unless given. */
  readonly statCache?: StatCache | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `checksumSelection` says of one directory, made while somebody else walks through it and reads its files. */
export class PassingCount {
  readonly #source: PassingSource;
  readonly #local: LocalTree;
  readonly #listed: Source & { readonly name: string };
  readonly #found: FoundFiles;
  #state: CountState | undefined;
  #nodes = 0;

  constructor(source: PassingSource) {
    const { tree, path, root, statCache } = source;
    if (tree.local === undefined) throw new Error("the tree does not answer at once");
    this.#source = source;
    this.#local = tree.local;
    this.#listed = sourceOf(path, root);
    this.#found = new FoundFiles(tree, statCache);
  }

  /** The directory itself: the first that has to be told. */
  async begin(stat: NodeStat): Promise<void> {
    await this.#local.prepare();
    await this.#counted({ path: this.#source.root, name: this.#listed.name, stat }).take();
  }

  /** The next node: a directory before what lies in it, names in the order of the listing. */
  next(path: RootPath, stat: NodeStat): PassingNode {
    return this.#counted({ path, name: listedBelow(this.#listed, path), stat });
  }

  /**
   * Files are looked at now that `nextFiles` is to tell. Nobody asks again for their attributes: a file is trusted only if it was
   * old enough before the look, however long that and the way to `nextFiles` take.
   */
  beforeLook(): void {
    this.#stateNow();
  }

  /** The next nodes: the first `count` files, which lie in `directory` of the tree. */
  nextFiles(files: PlainFiles, count: number, directory: RootPath): PassingFiles {
    const { root } = this.#source;
    const { prefix } = this.#listed;
    // With the slash behind each.
    const inTree = directory.length === 0 ? 0 : directory.length + 1;
    const below = root.length === 0 ? inTree : inTree - root.length - 1;
    const state = this.#state ?? this.#stateNow();
    this.#nodes += count;
    const cut = files.directory.length - below;
    const found = state.found.addPlain({ files, count }, { prefix, cut });
    return new PassingFiles(found, state);
  }

  /** Complete when the digest of every node is known. */
  get files(): FileDigests {
    return this.#found.files;
  }

  #counted(found: Found): PassingNode {
    const state = this.#stateNow();
    this.#nodes++;
    return new FoundNode(found, state);
  }

  #stateNow(): CountState {
    if (this.#state !== undefined && this.#nodes < nodesAtOneTime) return this.#state;
    this.#nodes = 0;
    this.#state = {
      found: this.#found,
      local: this.#local,
      readAt: nanosecondsNow(),
      signal: this.#source.signal,
    };
    return this.#state;
  }
}

/** A node whose digest is wanted. */
export interface PassingNode {
  readonly isKnown: boolean;
  /** What comes before the content in the digest, of a file that has no attributes. */
  readonly head: string;
  /** Says what the digest of head and content is; a copy is kept. Whoever read the content has proved that it is of this version. */
  learn(digest: DigestBytes): void;
  /** Takes the digest unless it is known. @throws CONTEXT_FILE_CHANGED, CONTEXT_UNREADABLE */
  take(): Promise<void>;
}

class FoundNode implements PassingNode {
  readonly isKnown: boolean;
  readonly #found: Found;
  readonly #slot: number;
  readonly #count: CountState;

  constructor(found: Found, count: CountState) {
    this.#found = found;
    this.#count = count;
    this.#slot = count.found.add(found);
    const known = count.found.known(found);
    this.isKnown = known !== undefined;
    if (known !== undefined) count.found.files.setDigest(this.#slot, known);
  }

  get head(): string {
    return plainHead(this.#found.stat);
  }

  learn(digest: DigestBytes): void {
    const { found, readAt } = this.#count;
    found.learn(this.#found, { slot: this.#slot, digest, readAt });
  }

  async take(): Promise<void> {
    if (this.isKnown) return;
    const { local, signal } = this.#count;
    const { path, stat } = this.#found;
    this.learn(await digestLocalNode({ tree: local, path, stat, signal }));
  }
}

/** Plain files whose digests are wanted, unless they are known. */
export class PassingFiles {
  readonly #found: FoundPlain;
  readonly #count: CountState;

  constructor(found: FoundPlain, count: CountState) {
    this.#found = found;
    this.#count = count;
  }

  /** What comes before the content in the digest of one of them; empty where that is known. To be asked once. */
  head(index: number): string {
    if (this.#count.found.takePlain(this.#found, index)) return "";
    const { modes, sizes, uid, gid } = this.#found.files;
    return plainHead({ mode: modes[index] ?? 0, uid, gid, size: sizes[index] ?? 0 });
  }

  /** As `PassingNode.learn`. */
  learn(index: number, digest: DigestBytes): void {
    const { found, readAt } = this.#count;
    found.learnPlain(this.#found, index, { digest, readAt });
  }
}

interface CountState {
  readonly found: FoundFiles;
  readonly local: LocalTree;
  readonly readAt: bigint;
  readonly signal: AbortSignal | undefined;
}
