import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engines/engine.ts";
import { tsbuildEngine } from "../engines/tsbuild.ts";
import { execute } from "../measure/run-command.ts";
import { smallBase, type Workspace } from "../workspace.ts";
import { emptyNode, isTsbuild } from "./build-row.ts";
import { usualTree } from "./copy.ts";
import { removeIfThere } from "./layers.ts";
import type { BenchRow, Contestant } from "./row.ts";

/** Without a base, so that an empty machine needs nothing but the cache. */
const steps = [
  "FROM scratch",
  "COPY busybox /bin/sh",
  "ENV A=1 B=2",
  "WORKDIR /app",
  "COPY a.txt .",
  "RUN echo one >one",
  "RUN echo two >two",
  "LABEL x=y",
  "EXPOSE 80",
  "RUN echo three >three",
  'ENTRYPOINT ["/bin/sh"]',
  'CMD ["-c", "true"]',
];

/** A step has a record by its definition and one by its content. */
const stepsOfThousandRecords = 500;

/** Rows in which the cache travels through a registry. */
export const cacheRows: readonly BenchRow[] = [
  {
    name: "cache-import",
    what: "build on an empty machine, all 6 steps in a cache in a registry",
    goals: [{ of: "peer", atMost: 1 }],
    warmUp: false,
    prepare: async (workspace) => {
      const context = await workspace.context("cache-import", {
        Dockerfile: `${steps.join("\n")}\n`,
        "a.txt": "a\n",
      });
      await copyFile("/bin/busybox", join(context, "busybox"));
      const host = await workspace.registry();
      return {
        contestant: (engine) =>
          importing(workspace, { engine, context, cache: `${host}/${engine.name}/steps` }),
        floor: emptyNode,
      };
    },
  },
  {
    name: "cache-import-1000",
    what: "the same with a cache of 1,000 records",
    // 0.3 s where an empty Node process takes 33 ms.
    goals: [{ of: "floor", atMost: 9 }],
    peers: false,
    warmUp: false,
    prepare: async (workspace) => {
      const folders = Array.from(
        { length: stepsOfThousandRecords },
        (_, at) => `WORKDIR /${String(at)}`,
      );
      const context = await workspace.context("cache-import-1000", {
        Dockerfile: `${["FROM scratch", ...folders].join("\n")}\n`,
      });
      const host = await workspace.registry();
      return {
        contestant: (engine) =>
          importing(workspace, { engine, context, cache: `${host}/${engine.name}/thousand` }),
        floor: emptyNode,
      };
    },
  },
  {
    name: "cache-export-unchanged",
    what: "cached rebuild with export of a cache that the registry has",
    // 0.2 s more than the rebuild, which takes 0.09 s.
    goals: [{ of: "floor", atMost: 3.2 }],
    peers: false,
    prepare: async (workspace) => {
      const context = await workspace.context("cache-export", {
        Dockerfile: `${[`FROM ${smallBase}`, ...steps.slice(2)].join("\n")}\n`,
        "a.txt": "a\n",
      });
      const options = { context, tag: "bench-cache-export:1", fresh: false };
      const [tsbuild] = workspace.engines;
      if (tsbuild === undefined) throw new Error("no engine");
      const cache = `${await workspace.registry()}/tsbuild/export-cache`;
      return {
        contestant: (engine) => {
          const command = engine.exportCache?.({ ...options, cache });
          return command && { command: () => command };
        },
        floor: { what: "the cached rebuild itself", command: () => tsbuild.build(options) },
      };
    },
  },
  {
    name: "cache-export-layer",
    what: "build and export of the cache with a new layer of 160 MB",
    goals: [{ of: "peer", atMost: 1 }],
    prepare: async (workspace) => {
      const host = await workspace.registry();
      const dockerfile = [`FROM ${smallBase}`, "COPY data /data"];
      const { context, tree } = await usualTree(workspace, { name: "cache-layer", dockerfile });
      const version = join(tree.directory, "version");
      let turn = 0;
      // New times for BuildKit, and a new file for those that count contents alone.
      const reset = async (): Promise<void> => {
        tree.touch();
        await writeFile(version, `version ${String(turn++)}\n`);
      };
      const [tsbuild] = workspace.engines;
      if (tsbuild === undefined) throw new Error("no engine");
      const pushed = `${host}/tsbuild/layer-alone:1`;
      return {
        contestant: (engine) => {
          const cache = `${host}/${engine.name}/layer-cache`;
          const options = { context, tag: "bench-cache-layer:1", fresh: false, cache };
          const command = engine.exportCache?.(options);
          return command && { reset, command: () => command };
        },
        floor: {
          what: "the same build with --push alone",
          reset,
          command: () => [
            ...tsbuild.build({ context, tag: pushed, fresh: false }).slice(0, -1),
            ...["--push", context],
          ],
        },
      };
    },
  },
];

/** Nothing of the build is there but what the registry has of its steps. */
function importing(
  workspace: Workspace,
  options: {
    readonly engine: Engine;
    readonly context: string;
    /** Repository of the registry. */
    readonly cache: string;
  },
): Contestant | undefined {
  const { engine, context, cache } = options;
  const root = join(workspace.directory, "inputs", "empty-root");
  const own = isTsbuild(engine) ? tsbuildEngine(root, engine.version) : engine;
  const build = { context, tag: "bench-cache-import:1", fresh: false, cache };
  const filling = engine.exportCache?.(build);
  const command = own.importCache?.(build);
  if (filling === undefined || command === undefined) return undefined;
  return {
    reset: async () => {
      await workspace.once(cache, async () => execute(filling, workspace.signal));
      if (isTsbuild(engine)) {
        await workspace.folder("empty-root");
        return;
      }
      for (const image of [build.tag, cache]) {
        await removeIfThere(workspace, engine.remove(image));
      }
      for (const prune of engine.prune) await execute(prune, workspace.signal);
    },
    command: () => command,
  };
}
