import { mkdirSync } from "node:fs";
import { type LayerEntryWithContent, type MergedTree } from "../layer/index.ts";
import { applyLayer } from "./apply-layer.ts";
import { comparedEntries } from "./compare-trees.ts";
import type { CompleteTree } from "./complete-tree.ts";
import { LiveTree } from "./live-tree.ts";
import { overlayEntries } from "./overlay-diff.ts";
import { RevisitedDisk } from "./revisited-disk.ts";
import type { SidecarDisk } from "./sidecar-disk.ts";
import { StackTree } from "./stack-tree.ts";
import { TreeRecord } from "./tree-record.ts";
import { LayerWriter } from "./tree-writer.ts";

/** The layer that a step writes. */
export interface StepLayer {
  readonly disk: SidecarDisk;
  readonly lower: StackTree;
}

/** A complete tree while the process of one step runs in it. What changed becomes the step's layer. */
export class StepTree {
  readonly complete: CompleteTree;
  readonly #record: TreeRecord;
  readonly #revisited: RevisitedDisk;

  private constructor(complete: CompleteTree, record: TreeRecord) {
    this.complete = complete;
    this.#record = record;
    this.#revisited = new RevisitedDisk(complete.disk);
  }

  /** `complete` shows what is below the layer. undefined when a process could change another tree through it. */
  static async begin(
    complete: CompleteTree,
    step: { readonly layer: StepLayer; readonly skeleton: readonly string[] },
  ): Promise<StepTree | undefined> {
    const own: Buffer[] = [];
    await complete.apply(noting(overlayEntries(step.layer), own));
    complete.placeStubs(step.skeleton);
    const { kernel, directory } = complete.disk;
    const record = await TreeRecord.take({ kernel, directory, scratch: complete.folder });
    // These are the layer's already, and so not as they are below it.
    for (const path of own) record.forget(path);
    return record.isShared ? undefined : new StepTree(complete, record);
  }

  /** The state as it is now. */
  get tree(): LiveTree {
    return new LiveTree({ disk: this.#revisited, lower: new StackTree([]) });
  }

  /**
   * Writes the layer anew, as what differs from below. Files are shared with the tree, which must not be written to until
   * it was made to show the layer by its entries.
   */
  async takeChanges(layer: StepLayer, begin: () => Promise<void>): Promise<void> {
    const { disk, lower } = layer;
    this.complete.removeStubs();
    await disk.removeTree(disk.directory);
    mkdirSync(disk.directory);
    await begin();
    const tree: MergedTree = new LiveTree({ disk, lower });
    const writer = new LayerWriter({ disk, lower, form: "overlay" });
    const isUntouched: TreeRecord["isUntouched"] = (path, stat) =>
      this.#record.isUntouched(path, stat);
    const changes = comparedEntries({ disk: this.#revisited, lower, isUntouched });
    await applyLayer({ tree, writer, sharedFrom: this.complete.disk.directory }, changes);
  }
}

function* noting(
  entries: Iterable<LayerEntryWithContent>,
  paths: Buffer[],
): Generator<LayerEntryWithContent, void, undefined> {
  for (const entry of entries) {
    paths.push(entry.path);
    yield entry;
  }
}
