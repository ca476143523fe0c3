import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  assembleConfig,
  solve,
  StepLog,
  type BuildEnvironment,
  type Solution,
} from "../../build/index.ts";
import {
  digestOf,
  familiarReference,
  isDiskFull,
  isTsbuildError,
  parseReference,
  type Digest,
} from "../../core/index.ts";
import { parseDockerfile } from "../../dockerfile/index.ts";
import type { Plan, Vertex, VertexId } from "../../plan/index.ts";
import { BaseImages } from "../base-images.ts";
import { withEngine, type Engine } from "../engine.ts";
import { normaliseName } from "../images.ts";
import { checkFolderOf, checkOutput, outputFailed, writeOutput } from "../output.ts";
import { openEnvironment } from "./environment.ts";
import { makePlan } from "./make-plan.ts";
import type { BuildOptions, BuildResult } from "./options.ts";
import { checkContext, readDockerfile, withSource } from "./sources.ts";

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

async function solvePlan(
  plan: Plan,
  request: {
    readonly environment: BuildEnvironment;
    readonly engine: Engine;
    readonly options: BuildOptions;
    readonly names: readonly string[];
  },
): Promise<Awaited<ReturnType<Engine["images"]["create"]>>> {
  const { environment, engine, names } = request;
  const solution = await solve(plan, environment);
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
