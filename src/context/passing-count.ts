import type { PlainFile } from "../core/index.ts";
import type { LocalTree, MergedTree, NodeStat, RootPath } from "../layer/index.ts";
import type { FileDigests } from "./file-digests.ts";
import {
  type Found,
  FoundFiles,
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
   * Files are looked at now that `nextFile` is to tell. Nobody asks again for their attributes: a file is trusted only if it was
   * old enough before the look, however long that and the way to `nextFile` take.
   */
  beforeLook(): void {
    this.#stateNow();
  }

  /** The next node, a plain file; `length` bytes of its path are the path in the tree. */
  nextFile(file: PlainFile, length: number): PassingFile {
    const { root } = this.#source;
    const below = root.length === 0 ? length : length - root.length - 1;
    const state = this.#state ?? this.#stateNow();
    this.#nodes++;
    return new PassingFile(file, state, state.found.addFile(file, this.#listed, below));
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

/** A plain file whose digest is wanted, unless it is known. */
export class PassingFile {
  readonly isKnown: boolean;
  readonly #file: PlainFile;
  readonly #count: CountState;
  readonly #slot: number;

  constructor(file: PlainFile, count: CountState, slot: number) {
    this.#file = file;
    this.#count = count;
    this.#slot = slot;
    const known = count.found.knownFile(file);
    this.isKnown = known !== undefined;
    if (known !== undefined) count.found.files.setDigest(slot, known);
  }

  get head(): string {
    const { mode, size } = this.#file;
    return plainHead({ mode, uid: 0, gid: 0, size: Number(size) });
  }

  /** As `PassingNode.learn`. */
  learn(digest: DigestBytes): void {
    const { found, readAt } = this.#count;
    found.learnFile(this.#file, { slot: this.#slot, digest, readAt });
  }
}

interface CountState {
  readonly found: FoundFiles;
  readonly local: LocalTree;
  readonly readAt: bigint;
  readonly signal: AbortSignal | undefined;
}
