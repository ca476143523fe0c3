import { mkdirSync } from "node:fs";
import type { RootfsMount, Syscalls } from "../core/index.ts";
import { type LayerEntryWithContent, rootPath } from "../layer/index.ts";
import { comparedEntries } from "./compare-trees.ts";
import { copyTree } from "./copy-node.ts";
import { DirectDisk } from "./direct-disk.ts";
import type { LayerDisk } from "./layer-disk.ts";
import { LiveTree } from "./live-tree.ts";
import { overlayEntries } from "./overlay-diff.ts";
import { mountStubs, type PlacedStubs } from "./placed-stubs.ts";
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
}

/** How a snapshotter keeps layers on disk. `directories` are those of a chain, topmost first. */
export interface Form {
  readonly kind: "overlayfs" | "copy";
  /** The door to the nodes of one layer. */
  disk(directory: string): LayerDisk;
  tree(directories: readonly string[]): StackTree;
  /** Fills the new, empty directory of a draft. */
  begin(draft: Draft): Promise<void>;
  liveTree(draft: Draft): LiveTree;
  openWriter(draft: Draft, options?: TreeWriterOptions): TreeWriter;
  entries(layer: Pick<Draft, "disk" | "lower">): AsyncIterable<LayerEntryWithContent>;
  mountDraft(draft: Draft, skeleton: readonly string[]): RootfsMount;
  mountView(directories: readonly string[]): RootfsMount;
  /** Takes back what `mountDraft` had to leave in the directory. */
  endMounts(draft: Draft): void;
}

/** Two empty directories, to be mounted where there are no layers. */
export type EmptyDirectories = readonly [string, string];

/** Each layer holds only its own changes, in the form that overlayfs mounts. */
export function overlayForm(kernel: Syscalls, empty: EmptyDirectories): Form {
  const disk = (directory: string): LayerDisk => new DirectDisk(kernel, Buffer.from(directory));
  return {
    kind: "overlayfs",
    disk,
    tree: (directories) => new StackTree(directories.map(disk)),
    begin: async ({ disk: own, lower }) => {
      const root = await lower.lstat(rootPath);
      if (root === undefined) return;
      // The root of the topmost layer is the root of the mount.
      const attributes = { ...root, xattrs: await lower.xattrs(rootPath) };
      own.setAttributes(own.directory, { isSymlink: false, attributes });
    },
    liveTree: (draft) => new LiveTree(draft),
    openWriter: ({ disk: own, lower }, options) =>
      new LayerWriter({ disk: own, lower, form: "overlay" }, options),
    entries: overlayEntries,
    mountDraft: ({ disk: { directory }, work, parents }, skeleton) => {
      mkdirSync(work, { recursive: true });
      const lower = [...parents, ...skeleton];
      return {
        type: "overlay",
        lower: lower.length === 0 ? [empty[0]] : lower,
        upper: directory.toString(),
        work,
      };
    },
    // The kernel takes no read-only overlay of fewer than two directories.
    mountView: (directories) => ({
      type: "overlay",
      lower: [...directories, ...empty.slice(0, Math.max(2 - directories.length, 0))],
    }),
    endMounts: () => undefined,
  };
}

/** Each layer is the complete tree: slow, large, and works everywhere. */
export function copyForm(kernel: Syscalls, empty: EmptyDirectories): Form {
  const nothing = new StackTree([]);
  const stubs = new Map<string, PlacedStubs>();
  const disk = (directory: string): LayerDisk => new DirectDisk(kernel, Buffer.from(directory));
  const form: Form = {
    kind: "copy",
    disk,
    tree: (directories) => new StackTree(directories.slice(0, 1).map(disk)),
    begin: async (draft) => {
      const writer = form.openWriter(draft);
      await copyTree(draft.lower, writer);
      await writer.finish();
    },
    liveTree: (draft) => new LiveTree({ disk: draft.disk, lower: nothing }),
    openWriter: (draft, options) =>
      new LayerWriter({ disk: draft.disk, lower: nothing, form: "complete" }, options),
    entries: (layer) => {
      const upper = new LiveTree({ disk: layer.disk, lower: nothing });
      return comparedEntries({ ...layer, upper });
    },
    mountDraft: ({ disk: { directory } }, skeleton) => {
      const path = directory.toString();
      const placed = mountStubs({ kernel, directory: path, skeleton });
      stubs.set(path, [...(stubs.get(path) ?? []), ...placed]);
      return { type: "directory", path, readOnly: false };
    },
    mountView: ([top]) => ({ type: "directory", path: top ?? empty[0], readOnly: true }),
    endMounts: ({ disk: { directory } }) => {
      const path = directory.toString();
      for (const stub of [...(stubs.get(path) ?? [])].reverse()) stub.remove();
      stubs.delete(path);
    },
  };
  return form;
}
