import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, type Syscalls } from "../core/index.ts";
import type { LayerEntryWithContent } from "../layer/index.ts";
import type { Abilities } from "./abilities.ts";
import { applyLayer } from "./apply-layer.ts";
import { copyTree } from "./copy-node.ts";
import { LiveTree } from "./live-tree.ts";
import { LooksBook } from "./looks-book.ts";
import { mountStubs, type PlacedStubs } from "./placed-stubs.ts";
import { SidecarDisk } from "./sidecar-disk.ts";
import { StackTree } from "./stack-tree.ts";
import { LayerWriter } from "./tree-writer.ts";

const nothing = new StackTree([]);

/** A copy of a whole state in one directory, for a process to run in where nothing can be mounted. */
export class CompleteTree {
  readonly disk: SidecarDisk;
  /** What holds the directory; removed with it. */
  readonly folder: string;
  #stubs: PlacedStubs = [];

  private constructor(folder: string, disk: SidecarDisk) {
    this.folder = folder;
    this.disk = disk;
  }

  static async copyOf(
    tree: StackTree,
    place: { readonly kernel: Syscalls; readonly abilities: Abilities; readonly folder: string },
  ): Promise<CompleteTree> {
    const { kernel, abilities, folder } = place;
    const directory = join(folder, "tree");
    await mkdir(directory, { recursive: true });
    const book = new LooksBook(abilities.givesOwners);
    const disk = new SidecarDisk({
      kernel,
      abilities,
      directory: Buffer.from(directory),
      book: () => book,
    });
    const writer = new LayerWriter({ disk, lower: nothing, form: "overlay" });
    await copyTree(tree, writer);
    await writer.finish();
    return new CompleteTree(folder, disk);
  }

  get directory(): string {
    return this.disk.directory.toString();
  }

  /** Changes the tree as a layer does. */
  async apply(entries: Iterable<LayerEntryWithContent>): Promise<void> {
    const { disk } = this;
    const tree = new LiveTree({ disk, lower: nothing });
    const writer = new LayerWriter({ disk, lower: nothing, form: "complete" });
    await applyLayer({ tree, writer }, entries);
  }

  /** Makes mount points that the tree lacks, until `removeStubs`. */
  placeStubs(skeleton: readonly string[]): void {
    const { disk, directory } = this;
    this.#stubs = [...this.#stubs, ...mountStubs({ kernel: disk.kernel, directory, skeleton })];
  }

  removeStubs(): void {
    for (const stub of [...this.#stubs].reverse()) stub.remove();
    this.#stubs = [];
  }

  async remove(): Promise<void> {
    await removeTree(this.folder);
  }
}
