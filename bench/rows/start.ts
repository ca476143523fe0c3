import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeTree } from "../inputs/tree.ts";
import { execute } from "../measure/run-command.ts";
import { smallBase, type Workspace } from "../workspace.ts";
import { buildingAll, emptyNode } from "./build-row.ts";
import type { BenchRow, Contestant, PreparedRow } from "./row.ts";

const manyFiles = "bench-100k-files:1";

const twelveInstructions = (base: string): string =>
  [
    `FROM ${base}`,
    "ENV A=1 B=2",
    "WORKDIR /app",
    "COPY a.txt .",
    "RUN echo one",
    "COPY b.txt .",
    "RUN echo two",
    "LABEL x=y",
    "EXPOSE 80",
    "RUN echo three",
    'ENTRYPOINT ["/bin/sh"]',
    'CMD ["-c", "true"]',
    "",
  ].join("\n");

/** Rows in which next to nothing is done. */
export const startRows: readonly BenchRow[] = [
  {
    name: "cached-rebuild",
    what: "rebuild of 12 instructions, all cached",
    goals: [{ of: "peer", atMost: 1 }],
    prepare: async (workspace) => cachedRebuild(workspace, smallBase),
  },
  {
    name: "cached-rebuild-big-base",
    what: "the same on a base of 100,000 files",
    goals: [
      { of: "peer", atMost: 1 },
      { of: "floor", atMost: 1.1 },
    ],
    prepare: async (workspace) => {
      const { image } = await imageOfManyFiles(workspace);
      const onSmall = ownTurn(workspace, await cachedRebuild(workspace, smallBase));
      // The floor's first turn may be one that counts: its cache is filled here.
      await execute(onSmall.command(), workspace.signal);
      const big = await cachedRebuild(workspace, image);
      return { ...big, floor: { ...onSmall, what: "tsbuild itself on a base of two files" } };
    },
  },
  foretelling("explain-cached", "explain"),
  foretelling("dry-run-cached", "dry-run"),
  {
    name: "run-true",
    what: "run --rm IMAGE true",
    goals: [{ of: "peer", atMost: 0.5 }],
    prepare: () =>
      Promise.resolve({
        contestant: (engine) => {
          const run = engine.run?.(smallBase, ["/bin/sh", "-c", "true"]);
          return run && { command: () => run };
        },
        floor: emptyNode,
      }),
  },
];

/** What a build would do where all is cached, beside the build itself. */
function foretelling(name: string, how: "dry-run" | "explain"): BenchRow {
  return {
    name,
    what: `${how === "explain" ? "explain" : "build --dry-run"} of 12 instructions, all cached`,
    goals: [{ of: "floor", atMost: 1.3 }],
    peers: false,
    prepare: async (workspace) => {
      const context = await rebuiltContext(workspace, { name, base: smallBase });
      const building = buildingAll({ name, context, fresh: false, floor: emptyNode });
      const rebuild = ownTurn(workspace, building);
      // What is foretold is cached because it was built.
      await execute(rebuild.command(), workspace.signal);
      return {
        contestant: (engine) => {
          const command = engine.foretell?.(how, context);
          return command && { command: () => command };
        },
        floor: { ...rebuild, what: "the cached rebuild itself" },
      };
    },
  };
}

async function cachedRebuild(workspace: Workspace, base: string): Promise<PreparedRow> {
  const name = base === smallBase ? "cached-rebuild" : "cached-rebuild-big-base";
  const context = await rebuiltContext(workspace, { name, base });
  return buildingAll({ name, context, fresh: false, floor: emptyNode });
}

function rebuiltContext(
  workspace: Workspace,
  { name, base }: { readonly name: string; readonly base: string },
): Promise<string> {
  return workspace.context(name, {
    Dockerfile: twelveInstructions(base),
    "a.txt": "a\n",
    "b.txt": "b\n",
  });
}

/** What tsbuild does in a row. */
function ownTurn({ engines }: Workspace, row: PreparedRow): Contestant {
  const [tsbuild] = engines;
  const turn = tsbuild && row.contestant(tsbuild);
  if (turn === undefined) throw new Error("no engine");
  return turn;
}

/** An image of 100,000 small files below `/data`. */
export async function imageOfManyFiles(workspace: Workspace): Promise<ManyFiles> {
  return workspace.once(manyFiles, async () => {
    const directory = await workspace.folder("100k-files");
    const data = join(directory, "data");
    const { files } = writeTree({ directory: data, count: 100_000, bytes: 10e6, seed: 7 });
    await workspace.image(manyFiles, async () => {
      await writeFile(join(directory, "Dockerfile"), `FROM ${smallBase}\nCOPY data /data\n`);
      return directory;
    });
    return { image: manyFiles, files };
  });
}

interface ManyFiles {
  readonly image: string;
  /** Paths below `/data`. */
  readonly files: readonly string[];
}
