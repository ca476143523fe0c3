import { StepLog } from "../../build/index.ts";
import { systemClock } from "../../core/index.ts";
import { openChecks, type Checks } from "../build/checks.ts";
import { choosePlatforms, type TargetPlatforms } from "../build/choose-platforms.ts";
import type { BuildOptions } from "../build/options.ts";
import { checkContext, readDockerfile, withSource } from "../build/sources.ts";
import { PlanBases } from "./plan-bases.ts";
import type { SourceFile } from "./source-file.ts";

/** What planning needs, for somebody who does not build. */
export interface OpenCall {
  readonly source: SourceFile;
  readonly checks: Checks;
  readonly targets: TargetPlatforms;
  readonly bases: PlanBases;
  readonly steps: StepLog;
}

/**
 * Reads context and Dockerfile as a build does, for `work` to plan with.
 * @throws DOCKERFILE_NOT_FOUND, CONTEXT_NOT_FOUND, and what `work` throws, with the text that it points at
 */
export async function openCall<Result>(
  options: BuildOptions,
  work: (call: OpenCall) => Promise<Result>,
): Promise<Result> {
  const targets = choosePlatforms(options);
  const directory = await checkContext(options.context);
  const dockerfile = await readDockerfile(directory, options.file);
  const bases = new PlanBases(options);
  const listener = options.progress ?? (() => undefined);
  const call: OpenCall = {
    source: { name: dockerfile.shown, bytes: dockerfile.bytes },
    checks: openChecks({ options, directory, dockerfile: dockerfile.path }),
    targets,
    bases,
    steps: new StepLog({ listener, clock: options.clock ?? systemClock }),
  };
  try {
    return await work(call);
  } catch (error) {
    throw withSource(error, dockerfile);
  } finally {
    await bases.close();
  }
}
