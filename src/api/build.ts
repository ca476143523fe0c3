import { readFile, stat, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import {
  assembleConfig,
  solve,
  StepLog,
  type BuildEnvironment,
  type Solution,
} from "../build/index.ts";
import { openDirectoryContext, openStatCache, type BuildContext } from "../context/index.ts";
import {
  digestHex,
  digestOf,
  errnoOf,
  familiarReference,
  hostPlatform,
  isDiskFull,
  isTsbuildError,
  parsePlatform,
  parseReference,
  TsbuildError,
  type Digest,
  type Platform,
} from "../core/index.ts";
import { parseDockerfile, type Dockerfile } from "../dockerfile/index.ts";
import { planBuild, type Plan, type Vertex, type VertexId } from "../plan/index.ts";
import { BaseImages } from "./base-images.ts";
import { withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { apiError, usageError } from "./errors.ts";
import { normaliseName } from "./images.ts";
import {
  checkOutput,
  checkFolderOf,
  outputFailed,
  writeOutput,
  type OutputSpec,
} from "./output.ts";

export interface BuildOptions extends EngineOptions {
  /** Directory of the build context. */
  readonly context: string;
  /** The Dockerfile, relative to the working directory; by default `Dockerfile` in the context. */
  readonly file?: string | undefined;
  readonly tags?: readonly string[];
  readonly target?: string | undefined;
  /** `NAME=value`, or `NAME` for the value of the caller's environment. */
  readonly buildArgs?: readonly string[];
  readonly labels?: readonly string[];
  readonly platforms?: readonly string[];
  readonly noCache?: boolean;
  readonly pull?: boolean;
  readonly network?: "default" | "none" | "host";
  readonly outputs?: readonly OutputSpec[];
  readonly imageIdFile?: string | undefined;
}

export interface BuildResult {
  /** Digest of the config. */
  readonly imageId: Digest;
  /** Names that the image has got, in familiar form. */
  readonly names: readonly string[];
}

/**
 * Builds an image and keeps it in the store, named by `tags`.
 *
 * @throws DOCKERFILE_*, PLAN_*, BUILD_*, SANDBOX_*, REGISTRY_* and others; located in the Dockerfile where they come
 * from one of its lines. Nothing is named then, and finished steps stay in the cache.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const names = [...new Set((options.tags ?? []).map(normaliseName))];
  const directory = await checkContext(options.context);
  const dockerfile = await readDockerfile(directory, options.file);
  return withEngine(options, async (engine) => {
    for (const output of options.outputs ?? []) await checkOutput(output);
    if (options.imageIdFile !== undefined) await checkFolderOf(options.imageIdFile);
    const bases = new BaseImages(engine, { pull: options.pull ?? false });
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    try {
      const parsed = parseDockerfile(dockerfile.bytes, { file: dockerfile.shown });
      const plan = await makePlan(parsed, { options, bases, steps });
      const environment = await openEnvironment(engine, {
        directory,
        dockerfile: dockerfile.path,
        bases,
        steps,
      });
      const image = await solvePlan(plan, { environment, engine, options, names });
      await steps.run("exporting to image", async () => {
        for (const output of options.outputs ?? [])
          await writeOutput(output, { engine, image, names });
        if (options.imageIdFile !== undefined) await writeImageId(options.imageIdFile, image.id);
      });
      const familiar = names.map((name) => familiarReference(parseReference(name)));
      engine.progress({
        type: "image-ready",
        imageId: image.id,
        names: familiar,
        time: engine.clock.now().getTime(),
      });
      return { imageId: image.id, names: familiar };
    } catch (error) {
      throw withSource(error, dockerfile);
    }
  });
}

async function writeImageId(path: string, id: Digest): Promise<void> {
  try {
    await writeFile(path, id);
  } catch (error) {
    throw outputFailed(path, error);
  }
}

/** Errors located in the Dockerfile carry its text, so that whoever prints them can show the line. */
function withSource(
  error: unknown,
  dockerfile: { readonly shown: string; readonly bytes: Buffer },
): unknown {
  if (!isTsbuildError(error) || error.location?.file !== dockerfile.shown) return error;
  return new TsbuildError({
    code: error.code,
    message: error.message,
    hint: error.hint,
    location: error.location,
    details: { ...error.details, source: dockerfile.bytes.toString("utf8") },
    cause: error.cause,
  });
}

async function checkContext(context: string): Promise<string> {
  const directory = resolveHere(context);
  try {
    if ((await stat(directory)).isDirectory()) return directory;
  } catch (error) {
    throw apiError("CONTEXT_NOT_FOUND", `open build context ${context}: it cannot be read`, {
      hint: "the last argument is the directory that COPY reads from, for example `.`",
      details: { context },
      cause: error,
    });
  }
  throw apiError("CONTEXT_NOT_FOUND", `open build context ${context}: not a directory`, {
    hint: "give a directory; the Dockerfile is named with -f",
    details: { context },
  });
}

/** An absolute path; the folder we stand in may have been removed meanwhile. */
function resolveHere(path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    throw apiError(
      "CONTEXT_NOT_FOUND",
      `open build context ${path}: the working directory is gone`,
      {
        hint: "somebody removed the folder you are in: change to one that exists",
        details: { context: path },
        cause: error,
      },
    );
  }
}

interface DockerfileSource {
  readonly path: string;
  /** As messages name it. */
  readonly shown: string;
  readonly bytes: Buffer;
}

async function readDockerfile(
  directory: string,
  file: string | undefined,
): Promise<DockerfileSource> {
  if (file === "-") {
    throw usageError(
      "read the Dockerfile from standard input: not supported yet",
      "write it to a file and name that with -f",
    );
  }
  const wanted = file === undefined ? join(directory, "Dockerfile") : resolveHere(file);
  const candidates =
    basename(wanted) === "Dockerfile" ? [wanted, join(wanted, "../dockerfile")] : [wanted];
  for (const path of candidates) {
    try {
      return { path, shown: file ?? basename(path), bytes: await readFile(path) };
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw unreadable(wanted, error);
    }
  }
  throw unreadable(wanted, undefined);
}

/** Without a cause the file is simply not there. */
function unreadable(path: string, cause: unknown): Error {
  const errno = errnoOf(cause);
  const reason = unreadableReasons[errno ?? "ENOENT"] ?? "it cannot be read";
  return apiError("DOCKERFILE_NOT_FOUND", `read the Dockerfile ${path}: ${reason}`, {
    hint:
      errno === "EACCES"
        ? "make the file and its folder readable"
        : "name it with -f when it lies elsewhere or has another name",
    details: { path, ...(errno === undefined ? {} : { errno }) },
    cause,
  });
}

const unreadableReasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

async function makePlan(
  dockerfile: Dockerfile,
  request: {
    readonly options: BuildOptions;
    readonly bases: BaseImages;
    readonly steps: StepLog;
  },
): Promise<Plan> {
  const { options, bases, steps } = request;
  const buildPlatform = hostPlatform();
  const platforms = parsePlatforms(options.platforms ?? [], buildPlatform);
  const plan = await planBuild(dockerfile, {
    ...(options.target === undefined ? {} : { target: options.target }),
    buildArgs: parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID"),
    labels: Object.fromEntries(parsePairs(options.labels ?? [], "LABEL_INVALID")),
    platforms,
    platformsRequested: (options.platforms ?? []).length > 0,
    buildPlatform,
    network: options.network ?? "default",
    resolveBase: (reference, platform) => bases.resolve(reference, { platform, steps }),
  });
  for (const warning of plan.warnings) steps.warn(warning);
  return plan;
}

function parsePlatforms(texts: readonly string[], host: Platform): Platform[] {
  const platforms = texts.flatMap((text) => text.split(",")).map(parsePlatform);
  if (platforms.length > 1) {
    throw apiError("PLATFORM_UNSUPPORTED", "build for several platforms at once", {
      hint: "build one platform at a time for now",
    });
  }
  return platforms.length === 0 ? [host] : platforms;
}

/** `NAME=value` pairs; a bare NAME takes the caller's environment and is dropped when that lacks it. */
function parsePairs(
  texts: readonly string[],
  code: "BUILD_ARG_INVALID" | "LABEL_INVALID",
): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    const name = equals === -1 ? text : text.slice(0, equals);
    if (name === "") {
      const what = code === "LABEL_INVALID" ? "label" : "build argument";
      throw apiError(code, `read ${what} ${JSON.stringify(text)}: it has no name`, {
        hint: "write it as NAME=value",
      });
    }
    const value =
      equals !== -1 ? text.slice(equals + 1) : code === "LABEL_INVALID" ? "" : process.env[name];
    if (value !== undefined) pairs.set(name, value);
  }
  return pairs;
}

async function openEnvironment(
  engine: Engine,
  request: {
    readonly directory: string;
    readonly dockerfile: string;
    readonly bases: BaseImages;
    readonly steps: StepLog;
  },
): Promise<BuildEnvironment> {
  const { store } = engine;
  const statCache = await openStatCache({
    path: join(store.root, "cache", "contexts", digestHex(digestOf(request.directory))),
    tmpDir: store.tmpDir,
  });
  let context: Promise<BuildContext> | undefined;
  const openContext = (): Promise<BuildContext> =>
    (context ??= openDirectoryContext({
      directory: request.directory,
      dockerfile: request.dockerfile,
      statCache,
    }));
  return {
    ...engine,
    statCache,
    steps: request.steps,
    contexts: new Map([["context", openContext]]),
    fetchLayer: (image, descriptor, signal) => request.bases.fetchLayer(image, descriptor, signal),
    implicitTime: 0n,
    hostname: "buildkitsandbox",
  };
}

async function solvePlan(
  plan: Plan,
  request: {
    readonly environment: BuildEnvironment;
    readonly engine: Engine;
    readonly options: BuildOptions;
    readonly names: readonly string[];
  },
): Promise<Awaited<ReturnType<Engine["images"]["create"]>>> {
  const { environment, engine, options, names } = request;
  const solution = await solve(plan, environment, { noCache: options.noCache ?? false });
  const [target] = plan.targets;
  const [result] = solution.targets;
  if (target === undefined || result === undefined) throw new Error("the plan has no target");
  const config = await assembleConfig({ target, result, environment });
  const base = baseImageOf(plan, target.vertex);
  const image = await engine.images.create(config, names, base === undefined ? {} : { base });
  await keepRecords(solution, request);
  return image;
}

/** What only serves the next build. The image is there, so a disk that is full by now does not fail this one. */
async function keepRecords(
  solution: Solution,
  request: {
    readonly environment: BuildEnvironment;
    readonly engine: Engine;
    readonly options: BuildOptions;
  },
): Promise<void> {
  const { environment, engine, options } = request;
  try {
    await environment.statCache.save();
    if (solution.written.length > 0) {
      await engine.store.sync();
      await engine.cache.markDurable(solution.written);
    }
    await engine.cache.saveBuildRecord(
      digestOf([resolve(options.context), options.file ?? "", options.target ?? ""].join("\0")),
      { steps: solution.steps, finished: engine.clock.now().toISOString() },
    );
  } catch (error) {
    if (!isDiskFull(error) && !isTsbuildError(error, "DISK_FULL")) throw error;
    environment.steps.warn({
      code: "BUILD_RECORDS_NOT_KEPT",
      message: "the disk is full: the next build may run steps again that this one has finished",
      hint: "`tsbuild system prune` frees space",
    });
  }
}

/** The image at the bottom of a vertex' root filesystem. */
function baseImageOf(plan: Plan, vertex: VertexId): Digest | undefined {
  for (let id: VertexId | undefined = vertex; id !== undefined;) {
    const { op, inputs }: Partial<Vertex> = plan.vertices[id] ?? {};
    if (op?.type === "image") return op.imageId;
    id = inputs?.[0];
  }
  return undefined;
}
