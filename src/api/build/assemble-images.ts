import { assembleConfig, type BuildEnvironment, type Solution } from "../../build/index.ts";
import type { Digest } from "../../core/index.ts";
import type { ImageGroup, LocalImage } from "../../local/index.ts";
import type { Plan, PlanTarget, Vertex, VertexId } from "../../plan/index.ts";
import { inlineMembers } from "./cache/collect-records.ts";
import type { TargetPlatforms } from "./choose-platforms.ts";
import type { BuildOptions } from "./options.ts";

/** What a build has made: an image for each target, not in the store yet. */
export interface AssembledImages {
  readonly group: ImageGroup;
  /** SOURCE_DATE_EPOCH in nanoseconds. */
  readonly epoch: bigint | undefined;
  /** How many layers of an image are its base's. */
  readonly baseLayers: (image: LocalImage) => number;
}

/** Turns a solved plan into images. */
export async function assembleImages(request: {
  readonly plan: Plan;
  readonly solution: Solution;
  readonly environment: BuildEnvironment;
  readonly targets: TargetPlatforms;
  readonly options: BuildOptions;
  /** Whether the images are caches, too. */
  readonly isInlineCache: boolean;
}): Promise<AssembledImages> {
  const { plan, solution, environment, targets, isInlineCache } = request;
  const epoch =
    plan.sourceDateEpoch === undefined ? undefined : new Date(plan.sourceDateEpoch * 1000);
  const baseLayers = new Map<LocalImage, number>();
  const members = [];
  for (const [index, target] of plan.targets.entries()) {
    const result = solution.targets[index];
    if (result === undefined) throw new Error("a target of the plan was not solved");
    const cache = isInlineCache ? inlineMembers(plan, solution, target.vertex) : undefined;
    const config = await assembleConfig({ target, result, environment, epoch, members: cache });
    const base = baseImageOf(plan, target.vertex);
    const image = await environment.images.prepare(config, base === undefined ? {} : { base });
    baseLayers.set(image, image.config.diffIds.length - ownLayers(target));
    members.push({ image, platform: target.platform });
  }
  return {
    group: { members, ...(targets.isIndex ? { index: {} } : {}) },
    epoch: epoch === undefined ? undefined : BigInt(epoch.getTime()) * 1_000_000n,
    baseLayers: (image) => baseLayers.get(image) ?? 0,
  };
}

function ownLayers({ history }: PlanTarget): number {
  return history.filter(({ vertex }) => vertex !== undefined).length;
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
