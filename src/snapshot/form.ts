import type { RootfsMount, Syscalls } from "../core/index.ts";
import { makeFolder } from "../core/index.ts";
import {
  type LayerEntryWithContent,
  type MergedTree,
  rootPath,
  type RootPath,
} from "../layer/index.ts";
import { DirectDisk } from "./direct-disk.ts";
import type { LayerDisk } from "./layer-disk.ts";
import { type LayerLog, openLayerLog } from "./layer-log.ts";
import { LiveTree } from "./live-tree.ts";
import { overlayEntries } from "./overlay-diff.ts";
import { StackTree } from "./stack-tree.ts";
import { LayerWriter } from "./tree-writer.ts";
import type { TreeWriter, TreeWriterOptions } from "./types.ts";

/** A state that is being written: its directory and what lies below it. */
export interface Draft {
  readonly disk: LayerDisk;
  /** Beside the directory, for the kernel's own use. */
  readonly work: string;
  /** Directories of the parents, topmost first. */
  readonly parents: readonly string[];
  readonly lower: StackTree;
  /** Takes the digest of what a writer writes; for states that began empty and were written by nobody else. */
  readonly log: LayerLog | undefined;
}

/** How a snapshotter keeps layers on disk. `directories` are those of a chain, topmost first. */
export interface Form {
  readonly kind: "overlayfs" | "copy";
  /** The door to the nodes of a committed layer. */
  keptDisk(directory: string): LayerDisk;
  /** The same of a layer that is to be written; the directory is empty. */
  newDisk(directory: string): LayerDisk;
  tree(directories: readonly string[]): StackTree;
  /** For a new, empty directory; undefined where a layer cannot be logged. */
  openLog(disk: LayerDisk): LayerLog | undefined;
  /** Fills the new, empty directory of a draft. */
  begin(draft: Draft): Promise<void>;
  liveTree(draft: Draft): MergedTree & { showsBelow(path: RootPath): boolean };
  openWriter(draft: Draft, options?: TreeWriterOptions): TreeWriter;
  entries(layer: Pick<Draft, "disk" | "lower">): Iterable<LayerEntryWithContent>;
  mountDraft(draft: Draft, skeleton: readonly string[]): Promise<RootfsMount>;
  mountView(directories: readonly string[]): Promise<RootfsMount>;
  /** Brings what a process did in the mount into the directory of the draft. */
  endMounts(draft: Draft): Promise<void>;
  /** Forgets about the mount, and what was done in it. */
  dropMounts(draft: Draft): Promise<void>;
  /** Writes what is known of the layer's nodes beside them, into the folder that will hold its directory. */
  writeBeside(draft: Draft, folder: string): void;
  /** The draft is the committed layer `directory` now. */
  kept(draft: Draft, directory: string): Promise<void>;
}

/** Two empty directories, to be mounted where there are no layers. */
export type EmptyDirectories = readonly [string, string];

/** Each layer holds only its own changes, in the form that overlayfs mounts. */
export function overlayForm(kernel: Syscalls, empty: EmptyDirectories): Form {
  const disk = (directory: string): LayerDisk => new DirectDisk(kernel, Buffer.from(directory));
  return {
    kind: "overlayfs",
    keptDisk: disk,
    newDisk: disk,
    tree: (directories) => new StackTree(directories.map(disk)),
    openLog: openLayerLog,
    begin: beginLayer,
    liveTree: (draft) => new LiveTree(draft),
    openWriter: (draft, options) => new LayerWriter({ ...draft, form: "overlay" }, options),
    entries: overlayEntries,
    mountDraft: async ({ disk: { directory }, work, parents }, skeleton) => {
      makeFolder(work);
      const lower = [...parents, ...skeleton];
      return {
        type: "overlay",
        lower: lower.length === 0 ? [empty[0]] : lower,
        upper: directory.toString(),
        work,
      };
    },
    // The kernel takes no read-only overlay of fewer than two directories.
    mountView: async (directories) => ({
      type: "overlay",
      lower: [...directories, ...empty.slice(0, Math.max(2 - directories.length, 0))],
    }),
    endMounts: async () => undefined,
    dropMounts: async () => undefined,
    writeBeside: () => undefined,
    kept: async () => undefined,
  };
}

/** The root of the topmost layer is the root of the whole, so a new layer's is to look like the one below. */
export async function beginLayer({ disk, lower }: Draft): Promise<void> {
  const root = await lower.lstat(rootPath);
  if (root === undefined) return;
  const attributes = { ...root, xattrs: await lower.xattrs(rootPath) };
  disk.setAttributes(disk.directory, { isSymlink: false, attributes });
}
