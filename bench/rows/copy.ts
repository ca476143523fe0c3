import { writeFileSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { type Tree, writeBigFile, writeTree } from "../inputs/tree.ts";
import { smallBase, type Workspace } from "../workspace.ts";
import { buildingAll, copyingFloor } from "./build-row.ts";
import type { BenchRow } from "./row.ts";

/** 20,000 files and 160 MB in `directory/data`, with a Dockerfile beside. */
export async function usualTree(
  workspace: Workspace,
  options: { readonly name: string; readonly dockerfile: readonly string[] },
): Promise<{ readonly context: string; readonly tree: Tree }> {
  const dockerfile = `${options.dockerfile.join("\n")}\n`;
  const context = await workspace.context(options.name, { Dockerfile: dockerfile });
  const directory = join(context, "data");
  return { context, tree: writeTree({ directory, count: 20_000, bytes: 160e6, seed: 1 }) };
}

/** Rows that are about COPY. */
export const copyRows: readonly BenchRow[] = [
  {
    name: "copy-tree",
    what: "COPY of 20,000 files, 160 MB, nothing cached",
    goals: [
      { of: "floor", atMost: 1.8 },
      { of: "peer", atMost: 0.45 },
    ],
    prepare: async (workspace) => {
      const name = "copy-tree";
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context, tree } = await usualTree(workspace, { name, dockerfile });
      const floor = copyingFloor(workspace, tree.directory);
      return buildingAll({ name, context, fresh: true, reset: tree.touch, floor });
    },
  },
  {
    name: "copy-tree-least",
    what: "the same beside the least that a program for Node can do",
    goals: [],
    peers: false,
    prepare: async (workspace) => {
      const name = "copy-tree-least";
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context, tree } = await usualTree(workspace, { name, dockerfile });
      const script = join(import.meta.dirname, "least-copy.js");
      let tar = "";
      const floor = {
        what: "a program that looks at each file, reads, hashes and archives it",
        reset: async () => {
          tar = join(await workspace.folder("least"), "data.tar");
        },
        command: () => [process.execPath, script, tree.directory, tar],
      };
      return buildingAll({ name, context, fresh: true, reset: tree.touch, floor });
    },
  },
  {
    name: "copy-tree-one-changed",
    what: "the same with one changed file, then RUN",
    goals: [{ of: "peer", atMost: 0.4 }],
    prepare: async (workspace) => {
      const name = "copy-tree-one-changed";
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data", "RUN echo changed"];
      const { context, tree } = await usualTree(workspace, { name, dockerfile });
      const file = join(tree.directory, tree.files[tree.files.length >> 1] ?? "");
      let changes = 0;
      const reset = (): void => {
        writeFileSync(file, `change ${String(changes++)}\n`);
      };
      const floor = {
        what: "find, which looks at every file",
        command: () => ["find", context, "-newermt", "2100-01-01"],
      };
      return buildingAll({ name, context, fresh: false, reset, floor });
    },
  },
  {
    name: "copy-1gib",
    what: "COPY of one file of 1 GiB",
    goals: [{ of: "peer", atMost: 0.5 }],
    warmUp: false,
    prepare: async (workspace) => {
      const name = "copy-1gib";
      const dockerfile = `FROM ${smallBase}\nCOPY big /big\n`;
      const context = await workspace.context(name, { Dockerfile: dockerfile });
      const big = join(context, "big");
      writeBigFile(big, 1 << 30);
      let age = 1_600_000_000;
      const reset = async (): Promise<void> => utimes(big, age, (age += 1000));
      let copy = "";
      const floor = {
        what: "one pass of sha256sum and tee",
        reset: async () => {
          copy = join(await workspace.folder("copy"), "big");
        },
        command: () => ["sh", "-c", 'tee "$2" <"$1" | sha256sum >/dev/null', "sh", big, copy],
      };
      return buildingAll({ name, context, fresh: true, reset, floor });
    },
  },
  {
    name: "ignored-context",
    what: "200,000 files of which .dockerignore leaves 20",
    goals: [{ of: "peer", atMost: 0.334 }],
    prepare: async (workspace) => {
      const name = "ignored-context";
      const context = await workspace.context(name, {
        Dockerfile: `FROM ${smallBase}\nCOPY . /app\n`,
        ".dockerignore": "node_modules\n**/*.log\n",
      });
      // What is skipped as a folder, what has to be looked at one by one, and what stays.
      const trees = [
        { directory: join(context, "node_modules"), count: 120_000, bytes: 12e6, seed: 2 },
        { directory: join(context, "src"), count: 79_980, bytes: 8e6, seed: 3, extension: ".log" },
        { directory: join(context, "src"), count: 20, bytes: 1e5, seed: 4 },
      ].map(writeTree);
      const left = trees.at(-1);
      const floor = { what: "find", command: () => ["find", context] };
      return buildingAll({ name, context, fresh: true, reset: () => left?.touch(), floor });
    },
  },
  {
    name: "copy-from-stage",
    what: "COPY --from of 20,000 files",
    goals: [{ of: "peer", atMost: 0.334 }],
    prepare: async (workspace) => {
      const name = "copy-from-stage";
      const image = "bench-tree:1";
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context: source, tree } = await usualTree(workspace, { name: "tree", dockerfile });
      await workspace.image(image, () => Promise.resolve(source));
      const context = await workspace.context(name, {});
      let turns = 0;
      // Another destination each time: of a layer that is there already, everybody would remove his second one.
      const reset = (): void => {
        const copy = `COPY --from=files /data /copy-${String(turns++)}`;
        const lines = [`FROM ${image} AS files`, `FROM ${smallBase}`, copy, ""];
        writeFileSync(join(context, "Dockerfile"), lines.join("\n"));
      };
      reset();
      const floor = copyingFloor(workspace, tree.directory);
      return buildingAll({ name, context, fresh: true, reset, floor });
    },
  },
];
