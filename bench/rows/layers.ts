import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Argv, Engine } from "../engines/engine.ts";
import { tsbuildEngine } from "../engines/tsbuild.ts";
import { type Tree, writeTree } from "../inputs/tree.ts";
import { CommandFailed, execute } from "../measure/run-command.ts";
import { smallBase, type Workspace } from "../workspace.ts";
import { isTsbuild } from "./build-row.ts";
import { usualTree } from "./copy.ts";
import type { BenchRow, Contestant } from "./row.ts";

/** Rows in which layers are packed and unpacked. */
export const layerRows: readonly BenchRow[] = [
  {
    name: "save",
    what: "save of 20,000 files on a base of 170 MB",
    goals: [{ of: "peer", atMost: 0.4 }],
    prepare: async (workspace) => {
      const base = await largeBase(workspace);
      const dockerfile = [`FROM ${base.image}`, "COPY data /data"];
      const { context, tree } = await usualTree(workspace, { name: "save", dockerfile });
      await workspace.image("bench-save:1", () => Promise.resolve(context));
      const file = join(workspace.directory, "saved.tar");
      const reset = async (): Promise<void> => rm(file, { force: true });
      const trees = [base.tree.directory, tree.directory];
      return {
        contestant: (engine) => ({ reset, command: () => engine.save("bench-save:1", file) }),
        floor: { what: "tar", reset, command: () => ["tar", "-cf", file, "-P", ...trees] },
      };
    },
  },
  {
    name: "push",
    what: "push of a new layer of 160 MB",
    goals: [{ of: "peer", atMost: 0.5 }],
    prepare: async (workspace) => {
      const host = await workspace.registry();
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context, tree } = await usualTree(workspace, { name: "push", dockerfile });
      const file = join(workspace.directory, "pushed.tar.gz");
      return {
        contestant: (engine) => {
          // Each has a repository of its own, and files with new times make a layer that no registry has.
          const tag = `${host}/${engine.name}/push:1`;
          return {
            reset: async () => {
              tree.touch();
              await execute(engine.build({ context, tag, fresh: true }), workspace.signal);
            },
            command: () => engine.push(tag),
          };
        },
        floor: {
          what: "tar | gzip -1",
          command: () => [
            ...["sh", "-c", 'tar -C "$1" -cf - . | gzip -1 >"$2"', "sh"],
            ...[tree.directory, file],
          ],
        },
      };
    },
  },
  {
    name: "unpack",
    what: "first run of an image of 30,000 files, 500 MB, from a registry",
    goals: [{ of: "peer", atMost: 0.334 }],
    warmUp: false,
    prepare: async (workspace) => {
      const { trees, tag, tsbuild } = await bigImage(workspace);
      await execute(tsbuild.push(tag), workspace.signal);
      const archive = join(workspace.directory, "trees.tar.gz");
      const source = ["sh", "-c", 'tar -C "$1" -cf - . | gzip >"$2"', "sh", trees, archive];
      await execute(source, workspace.signal);
      return {
        contestant: (engine) => fromNothing(workspace, { engine, tag, job: runTrue }),
        floor: unpackingFloor(workspace, ["tar", "-xzf", archive]),
      };
    },
  },
  {
    name: "load",
    what: "load of an image of 30,000 files, 500 MB",
    goals: [{ of: "peer", atMost: 0.334 }],
    warmUp: false,
    prepare: async (workspace) => {
      const { trees, tag, tsbuild } = await bigImage(workspace);
      const saved = join(workspace.directory, "big.tar");
      await execute(tsbuild.save(tag, saved), workspace.signal);
      const archive = join(workspace.directory, "trees.tar");
      await execute(["tar", "-C", trees, "-cf", archive, "."], workspace.signal);
      return {
        contestant: (engine) =>
          fromNothing(workspace, { engine, tag, job: (own) => own.load(saved) }),
        floor: unpackingFloor(workspace, ["tar", "-xf", archive]),
      };
    },
  },
];

async function largeBase(
  workspace: Workspace,
): Promise<{ readonly image: string; readonly tree: Tree }> {
  const image = "bench-170mb:1";
  const context = await workspace.folder("170mb");
  const directory = join(context, "usr");
  const tree = writeTree({ directory, count: 6_000, bytes: 170e6, seed: 5 });
  await workspace.image(image, async () => {
    await writeFile(join(context, "Dockerfile"), `FROM ${smallBase}\nCOPY usr /usr\n`);
    return context;
  });
  return { image, tree };
}

/** Four layers of 500 MB together, in tsbuild's store alone, named for the registry of the workspace. */
async function bigImage(workspace: Workspace): Promise<BigImage> {
  return workspace.once("big image", async () => makeBigImage(workspace));
}

interface BigImage {
  readonly trees: string;
  readonly tag: string;
  readonly tsbuild: Engine;
}

async function makeBigImage(workspace: Workspace): Promise<BigImage> {
  const [tsbuild] = workspace.engines;
  if (tsbuild === undefined) throw new Error("no engine");
  const tag = `${await workspace.registry()}/big:1`;
  const context = await workspace.folder("big");
  const trees = join(context, "trees");
  const sizes = [250e6, 150e6, 80e6, 20e6];
  sizes.forEach((bytes, index) => {
    const directory = join(trees, `layer-${String(index)}`);
    writeTree({ directory, count: (30_000 * bytes) / 500e6, bytes, seed: 10 + index });
  });
  const copies = sizes.map((_, index) => `COPY trees/layer-${String(index)} /${String(index)}`);
  await writeFile(join(context, "Dockerfile"), [`FROM ${smallBase}`, ...copies, ""].join("\n"));
  await execute(tsbuild.build({ context, tag, fresh: false }), workspace.signal);
  return { trees, tag, tsbuild };
}

/** From an image in a registry to a process that sees its files. */
export const runTrue = (engine: Engine, tag: string): readonly string[] | undefined =>
  engine.run?.(tag, ["/bin/sh", "-c", "true"]);

/** A job whose engine has nothing of the image: tsbuild with an empty root, the peers after removing it. */
export function fromNothing(
  workspace: Workspace,
  options: {
    readonly engine: Engine;
    readonly tag: string;
    readonly job: (engine: Engine, tag: string) => readonly string[] | undefined;
  },
): Contestant | undefined {
  const { engine, tag, job } = options;
  const root = join(workspace.directory, "inputs", "empty-root");
  const own = isTsbuild(engine) ? tsbuildEngine(root, engine.version) : engine;
  const command = job(own, tag);
  if (command === undefined) return undefined;
  return {
    reset: async () => {
      if (isTsbuild(engine)) await workspace.folder("empty-root");
      else await removeIfThere(workspace, engine.remove(tag));
    },
    command: () => command,
  };
}

/** Another row may have left it, or none. */
export async function removeIfThere(workspace: Workspace, command: Argv): Promise<void> {
  try {
    await execute(command, workspace.signal);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
  }
}

function unpackingFloor(
  workspace: Workspace,
  tar: readonly [string, string, string],
): Contestant & { readonly what: string } {
  let folder = "";
  return {
    what: `${tar[0]} ${tar[1]}`,
    reset: async () => {
      folder = await workspace.folder("unpacked");
    },
    command: () => [...tar, "-C", folder],
  };
}
