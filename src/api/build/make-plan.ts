import type { StepLog } from "../../build/index.ts";
import { hostPlatform, parsePlatform, type Platform } from "../../core/index.ts";
import type { Dockerfile } from "../../dockerfile/index.ts";
import { planBuild, type Plan } from "../../plan/index.ts";
import type { BaseImages } from "../base-images.ts";
import { apiError } from "../errors.ts";
import { parsePairs, type BuildOptions } from "./options.ts";

export async function makePlan(
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
    noCache: options.noCache === true ? "all" : (options.noCacheFilter ?? []),
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
