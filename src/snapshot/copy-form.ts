import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { RootfsMount, Syscalls } from "../core/index.ts";
import { readAbilities } from "./abilities.ts";
import { beginLayer, type Draft, type EmptyDirectories, type Form } from "./form.ts";
import { openLayerLog } from "./layer-log.ts";
import { LiveTree } from "./live-tree.ts";
import { formatLooks, readLooks } from "./looks-file.ts";
import { LooksBook } from "./looks-book.ts";
import { overlayEntries } from "./overlay-diff.ts";
import { SidecarDisk } from "./sidecar-disk.ts";
import { StackTree } from "./stack-tree.ts";
import { StepTree } from "./step-tree.ts";
import { SwitchingTree } from "./switching-tree.ts";
import { LayerWriter } from "./tree-writer.ts";
import { TreePool } from "./tree-pool.ts";

/**
 * Each layer holds its own changes in plain files, and what the place refuses in `looks` beside them: it works everywhere,
 * and needs no privilege. Nothing can be mounted, so a process gets a copy of the whole state.
 */
export function copyForm(place: {
  readonly kernel: Syscalls;
  readonly empty: EmptyDirectories;
  /** This process' own folder, for copies. */
  readonly tmpDir: string;
}): Form {
  const { kernel, empty, tmpDir } = place;
  const abilities = readAbilities();
  const disks = new Map<string, SidecarDisk>();
  const steps = new Map<Draft, StepTree>();
  const ended = new Map<Draft, StepTree>();
  const views = new Map<string, Promise<RootfsMount>>();

  const openDisk = (directory: string, book: () => LooksBook): SidecarDisk =>
    new SidecarDisk({ kernel, abilities, directory: Buffer.from(directory), book });
  const keptDisk = (directory: string): SidecarDisk => {
    const known = disks.get(directory);
    if (known !== undefined) return known;
    const disk = openDisk(directory, () => readLooks(join(dirname(directory), "looks")));
    disks.set(directory, disk);
    return disk;
  };
  const stackOf = (directories: readonly string[]): StackTree =>
    new StackTree(directories.map(keptDisk));
  const entries = ([top = "", ...below]: readonly string[]) =>
    overlayEntries({ disk: keptDisk(top), lower: stackOf(below) });
  const pool = new TreePool({ kernel, abilities, directory: tmpDir, entries });

  const beginStep = async (draft: Draft, skeleton: readonly string[]): Promise<StepTree> => {
    const layer = layerOf(draft);
    const taken = await pool.take({ directories: draft.parents, tree: draft.lower });
    const step = await StepTree.begin(taken, { layer, skeleton });
    if (step !== undefined) return step;
    await taken.remove();
    const fresh = await StepTree.begin(await pool.copy(draft.lower), { layer, skeleton });
    if (fresh === undefined) throw new Error("a fresh copy shares no files");
    return fresh;
  };
  const copyView = async (directories: readonly string[]): Promise<RootfsMount> => {
    const { directory } = await pool.copy(stackOf(directories));
    return { type: "directory", path: directory, readOnly: true };
  };

  return {
    kind: "copy",
    keptDisk,
    newDisk: (directory) => {
      const book = new LooksBook(abilities.givesOwners);
      return openDisk(directory, () => book);
    },
    tree: stackOf,
    openLog: openLayerLog,
    begin: beginLayer,
    liveTree: (draft) => {
      const layer = new LiveTree(draft);
      return new SwitchingTree(() => steps.get(draft)?.tree ?? layer);
    },
    openWriter: (draft, options) => {
      if (steps.has(draft)) throw new Error("a process is at work in this layer");
      return new LayerWriter({ ...draft, form: "overlay" }, options);
    },
    entries: overlayEntries,
    mountDraft: async (draft, skeleton) => {
      const known = steps.get(draft);
      known?.complete.placeStubs(skeleton);
      const step = known ?? (await beginStep(draft, skeleton));
      steps.set(draft, step);
      return { type: "directory", path: step.complete.directory, readOnly: false };
    },
    mountView: async (directories) => {
      const [top] = directories;
      if (top === undefined) return { type: "directory", path: empty[0], readOnly: true };
      const view = views.get(top) ?? copyView(directories);
      views.set(top, view);
      return view;
    },
    endMounts: async (draft) => {
      const step = steps.get(draft);
      if (step === undefined) return;
      await step.takeChanges(layerOf(draft), async () => beginLayer(draft));
      steps.delete(draft);
      ended.set(draft, step);
    },
    dropMounts: async (draft) => {
      const step = steps.get(draft) ?? ended.get(draft);
      steps.delete(draft);
      ended.delete(draft);
      await step?.complete.remove();
    },
    writeBeside: (draft, folder) => {
      writeFileSync(join(folder, "looks"), formatLooks(layerOf(draft).disk.book));
    },
    kept: async (draft, directory) => {
      const step = ended.get(draft);
      ended.delete(draft);
      if (step !== undefined) await pool.give(step.complete, [directory, ...draft.parents]);
    },
  };
}

function layerOf({ disk, lower }: Draft): { disk: SidecarDisk; lower: StackTree } {
  if (!(disk instanceof SidecarDisk)) throw new Error("this layer is of another form");
  return { disk, lower };
}
