import { mkdirSync } from "node:fs";
import type { RootfsMount, Syscalls } from "../core/index.ts";
import { type LayerEntryWithContent, rootPath } from "../layer/index.ts";
import { setAttributes } from "./attributes.ts";
import { comparedEntries } from "./compare-trees.ts";
import { copyTree } from "./copy-node.ts";
import type { LayerDirectory } from "./disk.ts";
import { LiveTree } from "./live-tree.ts";
import { overlayEntries } from "./overlay-diff.ts";
import { mountStubs, type PlacedStubs } from "./placed-stubs.ts";
import { StackTree } from "./stack-tree.ts";
import { LayerWriter } from "./tree-writer.ts";
import type { TreeWriter, TreeWriterOptions } from "./types.ts";

/** A state that is being written: its folder and what lies below it. */
export interface Draft {
  readonly directory: LayerDirectory;
  /** Beside `directory`, for the kernel's own use. */
  readonly work: string;
  /** Directories of the parents, topmost first. */
  readonly parents: readonly string[];
  readonly lower: StackTree;
}

/** How a snapshotter keeps layers on disk. `directories` are those of a chain, topmost first. */
export interface Form {
  readonly kind: "overlayfs" | "copy";
  tree(directories: readonly string[]): StackTree;
  /** Fills the new, empty directory of a draft. */
  begin(draft: Draft): Promise<void>;
  liveTree(draft: Draft): LiveTree;
  openWriter(draft: Draft, options?: TreeWriterOptions): TreeWriter;
  entries(layer: Pick<Draft, "directory" | "lower">): AsyncIterable<LayerEntryWithContent>;
  mountDraft(draft: Draft, skeleton: readonly string[]): RootfsMount;
  mountView(directories: readonly string[]): RootfsMount;
  /** Takes back what `mountDraft` had to leave in the directory. */
  endMounts(draft: Draft): void;
}

/** Two empty directories, to be mounted where there are no layers. */
export type EmptyDirectories = readonly [string, string];

/** Each layer holds only its own changes, in the form that overlayfs mounts. */
export function overlayForm(kernel: Syscalls, empty: EmptyDirectories): Form {
  return {
    kind: "overlayfs",
    tree: (directories) =>
      new StackTree(
        kernel,
        directories.map((path) => Buffer.from(path)),
      ),
    begin: async ({ directory, lower }) => {
      const root = await lower.lstat(rootPath);
      if (root === undefined) return;
      // The root of the topmost layer is the root of the mount.
      const attributes = { ...root, xattrs: await lower.xattrs(rootPath) };
      setAttributes(kernel, directory, { isSymlink: false, attributes });
    },
    liveTree: ({ directory, lower }) => new LiveTree({ kernel, directory, lower }),
    openWriter: ({ directory, lower }, options) =>
      new LayerWriter({ kernel, directory, lower, form: "overlay" }, options),
    entries: ({ directory, lower }) => overlayEntries({ kernel, directory, lower }),
    mountDraft: ({ directory, work, parents }, skeleton) => {
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
  const nothing = new StackTree(kernel, []);
  const stubs = new Map<string, PlacedStubs>();
  const complete = (directories: readonly string[]): StackTree =>
    new StackTree(
      kernel,
      directories.slice(0, 1).map((path) => Buffer.from(path)),
    );
  const form: Form = {
    kind: "copy",
    tree: complete,
    begin: async (draft) => {
      const writer = form.openWriter(draft);
      await copyTree(draft.lower, writer);
      await writer.finish();
    },
    liveTree: ({ directory }) => new LiveTree({ kernel, directory, lower: nothing }),
    openWriter: ({ directory }, options) =>
      new LayerWriter({ kernel, directory, lower: nothing, form: "complete" }, options),
    entries: ({ directory, lower }) => {
      const upper = new LiveTree({ kernel, directory, lower: nothing });
      return comparedEntries({ kernel, directory, lower, upper });
    },
    mountDraft: ({ directory }, skeleton) => {
      const path = directory.toString();
      const placed = mountStubs({ kernel, directory: path, skeleton });
      stubs.set(path, [...(stubs.get(path) ?? []), ...placed]);
      return { type: "directory", path, readOnly: false };
    },
    mountView: ([top]) => ({ type: "directory", path: top ?? empty[0], readOnly: true }),
    endMounts: ({ directory }) => {
      const path = directory.toString();
      for (const stub of [...(stubs.get(path) ?? [])].reverse()) stub.remove();
      stubs.delete(path);
    },
  };
  return form;
}
