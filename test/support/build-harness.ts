import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  assembleConfig,
  solve,
  StepLog,
  type BuildEnvironment,
  type Solution,
} from "../../src/build/index.ts";
import { openLocalCache } from "../../src/cache/index.ts";
import type { BuildContext, StatCache } from "../../src/context/index.ts";
import { chainIdOf, systemClock, type DiffId, type ProgressEvent } from "../../src/core/index.ts";
import { parseDockerfile } from "../../src/dockerfile/index.ts";
import { serializeImageConfig, type ImageConfig } from "../../src/image/index.ts";
import { openLocalImages } from "../../src/local/index.ts";
import { planBuild, type Plan } from "../../src/plan/index.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/index.ts";
import { openSnapshotter } from "../../src/snapshot/index.ts";
import { openStore } from "../../src/store/index.ts";
import { createBusyboxRoot } from "./busybox-root.ts";

const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
const exec = promisify(execFile);

/** A state root with one base image (`FROM base`) and everything that solving a plan needs; no registry. */
export interface BuildHarness {
  readonly environment: BuildEnvironment;
  /** Events of the last build. */
  readonly events: ProgressEvent[];
  plan(dockerfile: string): Promise<Plan>;
  build(dockerfile: string, options?: { readonly noCache?: boolean }): Promise<Built>;
  /** Names of the steps that the last build ran, or took from the cache. */
  steps(type: "step-started" | "step-cached"): string[];
  close(): Promise<void>;
}

export interface Built extends Solution {
  readonly config: Buffer;
}

export async function openBuildHarness(options: {
  readonly directory: string;
  readonly sandbox?: Sandbox;
  readonly context?: () => Promise<BuildContext>;
  readonly statCache?: StatCache;
  readonly signal?: AbortSignal;
}): Promise<BuildHarness> {
  const root = join(options.directory, "root");
  const store = await openStore({ root });
  const snapshots = await openSnapshotter({
    directory: join(root, "snapshots"),
    tmpDir: store.tmpDir,
  });
  const images = openLocalImages({ store, snapshots, clock: systemClock });
  const cache = openLocalCache({ directory: root, tmpDir: store.tmpDir });
  const events: ProgressEvent[] = [];
  let sandbox: Promise<Sandbox> | undefined;
  const openBuiltin = async (): Promise<Sandbox> => {
    const stateDir = join(store.tmpDir, "sandbox");
    await mkdir(stateDir, { recursive: true });
    return openSandbox("builtin", { stateDir, cacheDir: join(root, "cache") });
  };
  const base = await makeBase();
  const environment = (): BuildEnvironment => ({
    store,
    snapshots,
    images,
    cache,
    statCache: options.statCache ?? noStatCache,
    sandbox: () => (sandbox ??= options.sandbox ? Promise.resolve(options.sandbox) : openBuiltin()),
    contexts: new Map(options.context === undefined ? [] : [["context", options.context]]),
    fetchLayer: () => Promise.reject(new Error("the base is here")),
    steps: new StepLog({ listener: (event) => events.push(event), clock: systemClock }),
    clock: systemClock,
    implicitTime: 0n,
    hostname: "buildkitsandbox",
    signal: options.signal ?? new AbortController().signal,
  });
  const plan = (dockerfile: string): Promise<Plan> =>
    planBuild(parseDockerfile(dockerfile, { file: "Dockerfile" }), {
      buildArgs: new Map(),
      platforms: [platform],
      buildPlatform: platform,
      resolveBase: (reference) => Promise.resolve({ reference, ...base }),
    });
  return {
    environment: environment(),
    events,
    plan,
    build: async (dockerfile, { noCache = false } = {}) => {
      events.length = 0;
      const planned = await plan(dockerfile);
      const surroundings = environment();
      const solution = await solve(planned, surroundings, { noCache });
      const [target] = planned.targets;
      const [result] = solution.targets;
      if (target === undefined || result === undefined) throw new Error("no target");
      const config = await assembleConfig({ target, result, environment: surroundings });
      return { ...solution, config };
    },
    steps: (type) =>
      events.flatMap((event) => (event.type === type && "name" in event ? [event.name] : [])),
    close: () => store.close(),
  };

  async function makeBase(): Promise<{
    readonly imageId: Awaited<ReturnType<typeof images.create>>["id"];
    readonly chainId: ReturnType<typeof chainIdOf>;
    readonly config: ImageConfig;
  }> {
    const files = join(options.directory, "base");
    await createBusyboxRoot(files);
    const active = await snapshots.prepare(undefined);
    await exec("cp", ["-a", `${files}/.`, active.directory]);
    const { diffId } = await snapshots.commit(active);
    const diffIds: DiffId[] = [diffId];
    const config: ImageConfig = {
      ...platform,
      created: "2026-01-01T00:00:00Z",
      config: { env: ["PATH=/bin"] },
      diffIds,
      history: [{ created: "2026-01-01T00:00:00Z", createdBy: "base" }],
    };
    const image = await images.create(serializeImageConfig(config), [
      "docker.io/library/base:latest",
    ]);
    return { imageId: image.id, chainId: chainIdOf(diffIds), config };
  }
}

const noStatCache: StatCache = {
  get: () => undefined,
  set: () => undefined,
  save: () => Promise.resolve(),
};
