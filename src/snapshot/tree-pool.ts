import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Syscalls } from "../core/index.ts";
import type { LayerEntryWithContent } from "../layer/index.ts";
import type { Abilities } from "./abilities.ts";
import { CompleteTree } from "./complete-tree.ts";
import type { StackTree } from "./stack-tree.ts";

/** A stack of layers: their directories, topmost first, and the state that they make. */
export interface Stack {
  readonly directories: readonly string[];
  readonly tree: StackTree;
}

interface Idle {
  readonly tree: CompleteTree;
  /** What it shows. */
  readonly directories: readonly string[];
}

/** Each is as large as an image: one for each stage that is being built, as a rule. */
const most = 2;

/**
 * Complete trees that ended a step and wait for the next one. To copy an image takes seconds; to bring the tree of the step
 * before up to date takes as long as what that step changed.
 */
export class TreePool {
  readonly #place: { readonly kernel: Syscalls; readonly abilities: Abilities };
  readonly #directory: string;
  readonly #entries: (directories: readonly string[]) => Iterable<LayerEntryWithContent>;
  #idle: Idle[] = [];

  constructor(options: {
    readonly kernel: Syscalls;
    readonly abilities: Abilities;
    /** Holds the trees. */
    readonly directory: string;
    /** The entries of the topmost of these layers. */
    readonly entries: (directories: readonly string[]) => Iterable<LayerEntryWithContent>;
  }) {
    this.#place = options;
    this.#directory = options.directory;
    this.#entries = options.entries;
  }

  /** A tree that shows the stack; the caller's own until it is given back or removed. */
  async take(stack: Stack): Promise<CompleteTree> {
    const { directories } = stack;
    const nearest = this.#idle
      .filter((idle) => isBelow(idle.directories, directories))
      .sort((a, b) => b.directories.length - a.directories.length)[0];
    if (nearest === undefined) return this.copy(stack.tree);
    this.#idle = this.#idle.filter((idle) => idle !== nearest);
    // Its own topmost layer again, too: that has files in common with the tree, which a process must not write to.
    for (let top = directories.length - nearest.directories.length; top >= 0; top--)
      await nearest.tree.apply(this.#entries(directories.slice(top)));
    return nearest.tree;
  }

  /** A tree of its own. */
  async copy(tree: StackTree): Promise<CompleteTree> {
    const folder = join(this.#directory, `tree-${randomBytes(8).toString("hex")}`);
    return CompleteTree.copyOf(tree, { ...this.#place, folder });
  }

  /** The tree shows this stack now, whose topmost layer was made from it. */
  async give(tree: CompleteTree, directories: readonly string[]): Promise<void> {
    // Paths in its book may be those of before.
    if (tree.disk.book.size > 0) return tree.remove();
    this.#idle.push({ tree, directories });
    if (this.#idle.length > most) await this.#idle.shift()?.tree.remove();
  }
}

function isBelow(lower: readonly string[], stack: readonly string[]): boolean {
  const offset = stack.length - lower.length;
  return offset >= 0 && lower.every((directory, index) => directory === stack[offset + index]);
}
