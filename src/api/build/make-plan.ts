import type { StepLog } from "../../build/index.ts";
import { formatPlatform, isKnownPlatform, type Platform } from "../../core/index.ts";
import type { Dockerfile } from "../../dockerfile/index.ts";
import { planBuild, type Plan, type PlanObserver, type PlanOptions } from "../../plan/index.ts";
import type { BaseImages } from "../base-images.ts";
import type { Checks } from "./checks.ts";
import { warnOfAttestations } from "./attestations.ts";
import type { TargetPlatforms } from "./choose-platforms.ts";
import { parsePairs, type BuildOptions } from "./options.ts";
import { withConfiguredProxies } from "./proxies.ts";
import { readRunSettings } from "./run/settings.ts";

export async function makePlan(
  dockerfile: Dockerfile,
  request: {
    readonly options: BuildOptions;
    readonly targets: TargetPlatforms;
    readonly bases: Pick<BaseImages, "resolve">;
    readonly steps: StepLog;
    readonly checks: Checks;
    readonly contexts?: {
      readonly named: PlanOptions["namedContexts"] & {};
      readonly resolveTime: PlanOptions["resolveTime"] & {};
    };
    /** Every stage, not only what the target reaches. */
    readonly allStages?: boolean;
    readonly observer?: PlanObserver;
  },
): Promise<Plan> {
  const { options, targets, bases, steps, checks, allStages = false, observer, contexts } = request;
  const isIgnored = await checks.ignoredSources(dockerfile);
  const { platforms, buildPlatform } = targets;
  for (const platform of platforms) warnOfUnknown(platform, steps);
  warnOfAttestations(options, steps);
  const given = parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID");
  const plan = await planBuild(dockerfile, {
    ...(options.target === undefined ? {} : { target: options.target }),
    buildArgs: withConfiguredProxies(withEpoch(given), steps),
    labels: Object.fromEntries(parsePairs(options.labels ?? [], "LABEL_INVALID")),
    platforms,
    platformsRequested: targets.isRequested,
    multiPlatform: targets.isIndex,
    buildPlatform,
    network: options.network ?? "default",
    ...readRunSettings(options),
    noCache: options.noCache === true ? "all" : (options.noCacheFilter ?? []),
    resolveBase: (reference, platform, _location, layout) =>
      bases.resolve(reference, { platform, steps, layout }),
    ...(contexts === undefined
      ? {}
      : { namedContexts: contexts.named, resolveTime: contexts.resolveTime }),
    linter: checks.linter,
    allStages,
    ...(isIgnored === undefined ? {} : { isIgnored }),
    ...(observer === undefined ? {} : { observer }),
  });
  for (const warning of plan.warnings) steps.warn(warning);
  return plan;
}

/** SOURCE_DATE_EPOCH of the environment counts as a build argument, because other tools of a release take it from there. */
function withEpoch(buildArgs: Map<string, string>): Map<string, string> {
  const epoch = process.env["SOURCE_DATE_EPOCH"] ?? "";
  if (epoch !== "" && !buildArgs.has("SOURCE_DATE_EPOCH"))
    buildArgs.set("SOURCE_DATE_EPOCH", epoch);
  return buildArgs;
}

/** Nobody has heard of it: most likely it is misspelt, and nothing will run on what comes out. */
function warnOfUnknown(platform: Platform, steps: StepLog): void {
  if (isKnownPlatform(platform)) return;
  const name = formatPlatform(platform);
  steps.warn({
    code: "PLATFORM_UNKNOWN",
    message: `no system and machine are known as ${name}: the image will say that it is made for it all the same`,
    hint: "platforms are written as linux/amd64, linux/arm64 or linux/arm/v7",
  });
}
