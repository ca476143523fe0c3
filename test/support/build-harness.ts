import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import {
  assembleConfig,
  forecast,
  solve,
  StepLog,
  type BuildEnvironment,
  type Forecast,
  type Solution,
} from "../../src/build/index.ts";
import { openLocalCache, type BuildRecord, type TracedStep } from "../../src/cache/index.ts";
import type { BuildContext, StatCache } from "../../src/context/index.ts";
import {
  chainIdOf,
  systemClock,
  type ChainId,
  type Clock,
  type DiffId,
  type Digest,
  type ProgressEvent,
} from "../../src/core/index.ts";
import { parseDockerfile } from "../../src/dockerfile/index.ts";
import { serializeImageConfig, type ImageConfig } from "../../src/image/index.ts";
import { openLocalImages } from "../../src/local/index.ts";
import { planBuild, type Plan, type PlanOptions } from "../../src/plan/index.ts";
import { openSandbox, type Sandbox } from "../../src/sandbox/index.ts";
import { openSnapshotter } from "../../src/snapshot/index.ts";
import { openStore } from "../../src/store/index.ts";
import { createBusyboxRoot } from "./busybox-root.ts";
import { FakeSandbox } from "./fake-sandbox.ts";
import { noStatCache } from "./no-stat-cache.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const platform = { os: "linux", architecture: process.arch === "arm64" ? "arm64" : "amd64" };
const exec = promisify(execFile);

/** A state root with one base image (`FROM base`) and everything that solving a plan needs; no registry. */
export interface BuildHarness {
  readonly environment: BuildEnvironment;
  /** Events of the last build. */
  readonly events: ProgressEvent[];
  plan(dockerfile: string, options?: BuildRequest): Promise<Plan>;
  build(dockerfile: string, options?: BuildRequest): Promise<Built>;
  /** What `build` would do. */
  forecast(dockerfile: string, options?: BuildRequest): Promise<Forecast>;
  /** What the commands of the last build wrote, both streams. */
  output(): string;
  /** Names of the steps that the last build ran, or took from the cache. */
  steps(type: "step-started" | "step-cached"): string[];
  /** What became of the steps of the last build, event by event: `done [2/3] RUN make`. */
  timeline(): string[];
  /** Everything that builds have left for later ones, in a fixed order. */
  kept(): Promise<Kept>;
  close(): Promise<void>;
}

export interface Kept {
  readonly snapshots: readonly ChainId[];
  readonly records: readonly Digest[];
}

export interface BuildRequest {
  readonly noCache?: boolean | readonly string[];
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** What else the command line would say to planning. */
  readonly planning?: Partial<PlanOptions>;
  /** Secrets, agents and limits of RUN. */
  readonly given?: Pick<BuildEnvironment, "readSecret" | "findAgent" | "limits">;
}

export interface Built extends Solution {
  readonly config: Buffer;
  /** What of its trace were steps. */
  readonly steps: readonly SolvedStep[];
}

type SolvedStep = Required<Pick<TracedStep, "name" | "key" | "outcome">> & TracedStep;

function stepsOf({ trace }: Solution): readonly SolvedStep[] {
  return trace.filter(
    (step): step is SolvedStep => step.outcome !== undefined && step.key !== undefined,
  );
}

export async function openBuildHarness(options: {
  readonly directory: string;
  /** Without one, commands really run (which needs root). With one the base is a few files instead of busybox. */
  readonly sandbox?: Sandbox;
  /** What commands really run in; `builtin` unless given. */
  readonly isolation?: "builtin" | "oci" | undefined;
  readonly context?: () => Promise<BuildContext>;
  readonly statCache?: StatCache;
  readonly layerDigests?: BuildEnvironment["layerDigests"];
  readonly clock?: Clock;
  readonly readSecret?: NonNullable<BuildEnvironment["readSecret"]>;
}): Promise<BuildHarness> {
  const clock = options.clock ?? systemClock;
  const root = join(options.directory, "root");
  const store = await openStore({ root });
  const snapshots = await openSnapshotter({
    directory: join(root, "snapshots"),
    tmpDir: store.tmpDir,
  });
  const images = openLocalImages({ store, snapshots, clock });
  const cache = openLocalCache({ directory: root, tmpDir: store.tmpDir });
  const events: ProgressEvent[] = [];
  let sandbox: Promise<Sandbox> | undefined;
  const openBuiltin = async (): Promise<Sandbox> => {
    const stateDir = join(store.tmpDir, "sandbox");
    await mkdir(stateDir, { recursive: true });
    return openSandbox(options.isolation ?? "builtin", { stateDir, cacheDir: join(root, "cache") });
  };
  const base = await makeBase();
  let last: BuildRecord | undefined;
  const environment = (signal?: AbortSignal): BuildEnvironment => ({
    store,
    snapshots,
    images,
    cache,
    lastBuild: () => Promise.resolve(last),
    statCache: options.statCache ?? noStatCache(),
    ...(options.layerDigests === undefined ? {} : { layerDigests: options.layerDigests }),
    sandbox: () => (sandbox ??= options.sandbox ? Promise.resolve(options.sandbox) : openBuiltin()),
    contexts: new Map(options.context === undefined ? [] : [["context", options.context]]),
    fetchLayer: () => Promise.reject(new Error("the base is here")),
    ...(options.readSecret === undefined ? {} : { readSecret: options.readSecret }),
    steps: new StepLog({ listener: (event) => events.push(event), clock }),
    clock,
    implicitTime: 0n,
    hostname: "buildkitsandbox",
    signal: signal ?? new AbortController().signal,
  });
  const plan = (
    dockerfile: string,
    { target, buildArgs, noCache = false, planning }: BuildRequest = {},
  ): Promise<Plan> =>
    planBuild(parseDockerfile(dockerfile, { file: "Dockerfile" }), {
      noCache: noCache === true ? "all" : noCache === false ? [] : noCache,
      ...(target === undefined ? {} : { target }),
      buildArgs: new Map(Object.entries(buildArgs ?? {})),
      platforms: [platform],
      buildPlatform: platform,
      resolveBase: (reference) => Promise.resolve({ reference, ...base }),
      ...planning,
    });
  return {
    environment: environment(),
    events,
    plan,
    build: async (dockerfile, request = {}) => {
      events.length = 0;
      const planned = await plan(dockerfile, request);
      const surroundings = { ...environment(request.signal), ...request.given };
      const solution = await solve(planned, surroundings);
      const [target] = planned.targets;
      const [result] = solution.targets;
      if (target === undefined || result === undefined) throw new Error("no target");
      const config = await assembleConfig({ target, result, environment: surroundings });
      last = { steps: solution.trace, finished: clock.now().toISOString() };
      return { ...solution, config, steps: stepsOf(solution) };
    },
    forecast: async (dockerfile, request = {}) =>
      forecast(await plan(dockerfile, request), {
        ...environment(request.signal),
        ...request.given,
      }),
    output: () =>
      events
        .flatMap((event) => (event.type === "step-output" ? [Buffer.from(event.bytes)] : []))
        .join(""),
    steps: (type) =>
      events.flatMap((event) => (event.type === type && "name" in event ? [event.name] : [])),
    timeline: () => describeEvents(events),
    kept: async () => {
      const [chains, records]: [ChainId[], Digest[]] = [[], []];
      for await (const { chainId } of snapshots.list()) chains.push(chainId);
      for await (const { key } of cache.list()) records.push(key);
      return { snapshots: chains.sort(), records };
    },
    close: () => store.close(),
  };

  async function makeBase(): Promise<{
    readonly imageId: Awaited<ReturnType<typeof images.create>>["id"];
    readonly chainId: ReturnType<typeof chainIdOf>;
    readonly config: ImageConfig;
  }> {
    const files = join(options.directory, "base");
    if (options.sandbox === undefined) await createBusyboxRoot(files);
    else await createSmallRoot(files);
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

/** A harness over commands that wait for the test's word, in a folder that goes away with the test. */
export async function openWaitingBuild(
  options: ConstructorParameters<typeof FakeSandbox>[0] &
    Omit<Parameters<typeof openBuildHarness>[0], "directory" | "sandbox"> = {},
): Promise<{ readonly harness: BuildHarness; readonly sandbox: FakeSandbox }> {
  const sandbox = new FakeSandbox(options);
  const directory = await temporaryFolder();
  const harness = await openBuildHarness({ ...options, directory, sandbox });
  onTestFinished(async () => harness.close());
  return { harness, sandbox };
}

function describeEvents(events: readonly ProgressEvent[]): string[] {
  const names = new Map<number, string>();
  return events.flatMap((event) => {
    if (!("step" in event)) return [];
    if ("name" in event) names.set(event.step, event.name);
    return [`${event.type.replace("step-", "")} ${names.get(event.step) ?? "?"}`];
  });
}

async function createSmallRoot(directory: string): Promise<void> {
  await mkdir(join(directory, "etc"), { recursive: true });
  await writeFile(join(directory, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
}
