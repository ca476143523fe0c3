import { formatPlatform, type Platform } from "../core/index.ts";
import { expandWord, type Dockerfile, type Lookup } from "../dockerfile/index.ts";
import { locateFailure } from "./locate-failure.ts";
import type { PlanOptions } from "./types.ts";

/** Variables that FROM lines see, and that a stage's `ARG NAME` takes its value from. */
export type GlobalArgs = ReadonlyMap<string, string>;

/**
 * The automatic platform variables, then the ARGs before the first FROM. A build argument beats every default and is
 * taken literally; each default sees what comes before it.
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION, DOCKERFILE_VARIABLE_REQUIRED
 */
export function evaluateGlobalArgs(
  dockerfile: Dockerfile,
  options: Pick<PlanOptions, "buildArgs" | "buildPlatform" | "target">,
  platform: Platform,
): GlobalArgs {
  const { buildArgs } = options;
  const values = new Map<string, string>();
  const lookup: Lookup = (name) => values.get(name);
  for (const [name, value] of automaticArgs(dockerfile, options, platform)) {
    values.set(name, buildArgs.get(name) ?? value);
  }
  for (const { args, location } of dockerfile.globalArgs) {
    for (const { name, defaultValue } of args) {
      const given = buildArgs.get(name);
      if (given !== undefined) values.set(name, given);
      else if (defaultValue !== undefined) {
        values.set(
          name,
          locateFailure(location, () =>
            expandWord(defaultValue, lookup, dockerfile.directives.escape),
          ),
        );
      }
    }
  }
  return values;
}

function automaticArgs(
  dockerfile: Dockerfile,
  { buildPlatform, target }: Pick<PlanOptions, "buildPlatform" | "target">,
  platform: Platform,
): readonly (readonly [string, string])[] {
  const wantedStage = target === "" ? undefined : target;
  return [
    ...platformArgs("BUILD", buildPlatform),
    ...platformArgs("TARGET", platform),
    ["TARGETSTAGE", wantedStage ?? dockerfile.stages.at(-1)?.name ?? "default"],
  ];
}

function platformArgs(prefix: string, platform: Platform): readonly (readonly [string, string])[] {
  return [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform.osVersion ?? ""],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
}
