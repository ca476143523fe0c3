import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { openDirectoryContext, openStatCache } from "../../src/context/index.ts";
import type { MergedTree } from "../../src/layer/index.ts";
import {
  openBuildHarness,
  type BuildHarness,
  type BuildRequest,
  type Built,
} from "./build-harness.ts";
import { whyNoBusybox } from "./busybox-root.ts";

/** Builds whose commands really run, on a busybox base (`FROM base`), with a build context. */
export interface RunBuilds {
  readonly harness: BuildHarness;
  /** Folder of the build context. */
  readonly context: string;
  /** What the commands of a build wrote. */
  run(dockerfile: string, request?: BuildRequest): Promise<string>;
  /** Writes files into the context; a `null` removes one. */
  put(files: Readonly<Record<string, string | null>>): Promise<void>;
  /** The files of a build's result. */
  treeOf(built: Built): Promise<MergedTree>;
  /** Paths of the entries in the top layer of a build's result, sorted. */
  topLayer(built: Built): Promise<string[]>;
}

/** One harness for the tests of a describe block. They skip without root or busybox. */
export function useRunBuilds(isolation: "builtin" | "oci" = "builtin"): RunBuilds {
  let opened: BuildHarness | undefined;
  let lacking: string | undefined;
  let folder = "";
  const context = (): string => join(folder, "context");
  beforeAll(async () => {
    lacking = process.getuid?.() === 0 ? await whyNoBusybox() : "needs root to mount";
    if (lacking !== undefined) return;
    folder = await mkdtemp(join(tmpdir(), "tsbuild-run-"));
    await mkdir(context());
    opened = await openBuildHarness({
      directory: folder,
      isolation,
      context: async () =>
        openDirectoryContext({
          directory: context(),
          dockerfile: join(context(), "Dockerfile"),
          statCache: await openStatCache({ path: join(folder, "stats"), tmpDir: folder }),
        }),
    });
  });
  beforeEach((test) => {
    if (lacking !== undefined) test.skip(lacking);
  });
  afterAll(async () => {
    await opened?.close();
    if (folder !== "") await rm(folder, { recursive: true, force: true });
  });
  const harness = (): BuildHarness => {
    if (opened === undefined) throw new Error("builds are ready only inside of tests");
    return opened;
  };
  const treeOf = (built: Built): Promise<MergedTree> =>
    harness().environment.snapshots.tree(built.targets[0]?.chainId);
  return {
    get harness() {
      return harness();
    },
    get context() {
      return context();
    },
    run: async (dockerfile, request) => {
      await harness().build(dockerfile, request);
      return harness().output();
    },
    put: async (files) => {
      for (const [name, content] of Object.entries(files)) {
        const path = join(context(), name);
        await mkdir(dirname(path), { recursive: true });
        if (content === null) await rm(path);
        else await writeFile(path, content);
      }
    },
    treeOf,
    topLayer: async (built) => {
      const { snapshots } = harness().environment;
      const chainId = built.targets[0]?.chainId;
      if (chainId === undefined) return [];
      const paths: string[] = [];
      for await (const { path } of snapshots.diff(chainId)) paths.push(path.toString());
      return paths.sort();
    },
  };
}
