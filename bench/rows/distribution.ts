import { writeFileSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { inTurn } from "../engines/in-turn.ts";
import { writeBigFile } from "../inputs/tree.ts";
import { openRelay } from "../measure/relay.ts";
import { execute } from "../measure/run-command.ts";
import { smallBase, type Workspace } from "../workspace.ts";
import { emptyNode } from "./build-row.ts";
import { usualTree } from "./copy.ts";
import { fromNothing, runTrue } from "./layers.ts";
import type { BenchRow } from "./row.ts";

/** For one layer of 2 GiB, in either direction. */
const layerMemory = { of: "memory", atMost: 150e6 } as const;

/** Rows between a store and a registry. */
export const distributionRows: readonly BenchRow[] = [
  {
    name: "push-unchanged",
    what: "push of an image that the registry has",
    // 0.2 s where an empty Node process takes 42 ms.
    goals: [
      { of: "peer", atMost: 1 },
      { of: "floor", atMost: 4.8 },
    ],
    prepare: async (workspace) => {
      const host = await workspace.registry();
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context } = await usualTree(workspace, { name: "push-unchanged", dockerfile });
      return {
        contestant: (engine) => {
          const tag = `${host}/${engine.name}/unchanged:1`;
          return {
            reset: async () =>
              workspace.once(tag, async () => {
                await execute(engine.build({ context, tag, fresh: false }), workspace.signal);
                await execute(engine.push(tag), workspace.signal);
              }),
            command: () => engine.push(tag),
          };
        },
        floor: emptyNode,
      };
    },
  },
  {
    name: "rebuild-push",
    what: "build and push after one of 20,001 files changed",
    goals: [
      { of: "peer", atMost: 0.5 },
      { of: "sent", atMost: 20_000 },
    ],
    prepare: async (workspace) => {
      const relay = await openRelay(await workspace.registry());
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data", "COPY version /version"];
      const { context } = await usualTree(workspace, { name: "rebuild-push", dockerfile });
      let changes = 0;
      const reset = (): Promise<void> => {
        writeFileSync(join(context, "version"), `version ${String(changes++)}\n`);
        return Promise.resolve();
      };
      return {
        contestant: (engine) => {
          const tag = `${relay.host}/${engine.name}/rebuild:1`;
          const build = engine.build({ context, tag, fresh: false });
          return {
            reset,
            command: () => inTurn(build, engine.push(tag)),
            sent: () => relay.take(),
          };
        },
        floor: emptyNode,
      };
    },
  },
  {
    name: "pull-unpack",
    what: "pull and unpack a layer of 20,000 files, 160 MB",
    goals: [{ of: "peer", atMost: 0.7 }],
    warmUp: false,
    prepare: async (workspace) => {
      const [tsbuild] = workspace.engines;
      if (tsbuild === undefined) throw new Error("no engine");
      const tag = `${await workspace.registry()}/pulled:1`;
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context, tree } = await usualTree(workspace, { name: "pull-unpack", dockerfile });
      await execute(tsbuild.build({ context, tag, fresh: false }), workspace.signal);
      await execute(tsbuild.push(tag), workspace.signal);
      const archive = join(workspace.directory, "pulled.tar.gz");
      const pack = 'tar -C "$1" -cf - . | gzip >"$2"';
      await execute(["sh", "-c", pack, "sh", tree.directory, archive], workspace.signal);
      let folder = "";
      return {
        // tsbuild unpacks what it has pulled when something runs in it.
        contestant: (engine) =>
          fromNothing(workspace, {
            engine,
            tag,
            job: (own) => (own.pull === undefined ? runTrue(own, tag) : own.pull(tag)),
          }),
        floor: {
          what: "tar -xzf",
          reset: async () => {
            folder = await workspace.folder("pulled");
          },
          command: () => ["tar", "-xzf", archive, "-C", folder],
        },
      };
    },
  },
  {
    name: "push-2gib",
    what: "push of a layer of 2 GiB that does not compress",
    goals: [layerMemory],
    peers: false,
    warmUp: false,
    prepare: async (workspace) => {
      const tag = `${await workspace.registry()}/big-file:1`;
      const { context, big } = await bigFile(workspace);
      let age = 1_600_000_000;
      return {
        contestant: (engine) => ({
          reset: async () => {
            await utimes(big, age, (age += 1000));
            await execute(engine.build({ context, tag, fresh: true }), workspace.signal);
          },
          command: () => engine.push(tag),
        }),
        floor: { what: "sha256sum", command: () => ["sha256sum", big] },
      };
    },
  },
  {
    name: "pull-2gib",
    what: "pull and unpack the same",
    goals: [layerMemory],
    peers: false,
    warmUp: false,
    prepare: async (workspace) => {
      const tag = `${await workspace.registry()}/big-file:2`;
      const { context, big } = await bigFile(workspace);
      const [tsbuild] = workspace.engines;
      if (tsbuild === undefined) throw new Error("no engine");
      await execute(tsbuild.build({ context, tag, fresh: false }), workspace.signal);
      await execute(tsbuild.push(tag), workspace.signal);
      return {
        contestant: (engine) => fromNothing(workspace, { engine, tag, job: runTrue }),
        floor: { what: "sha256sum", command: () => ["sha256sum", big] },
      };
    },
  },
];

/** Both rows have the same file. */
async function bigFile(
  workspace: Workspace,
): Promise<{ readonly context: string; readonly big: string }> {
  return workspace.once("2 GiB", async () => {
    const dockerfile = `FROM ${smallBase}\nCOPY big /big\n`;
    const context = await workspace.context("2gib", { Dockerfile: dockerfile });
    const big = join(context, "big");
    writeBigFile(big, 2 * 2 ** 30);
    return { context, big };
  });
}
