import { resolve } from "node:path";
import { parseDockerfile } from "../../dockerfile/index.ts";
import { openLocalCache, type BuildRecord } from "../../cache/index.ts";
import { defaultRoot } from "../../store/index.ts";
import { targetOf } from "../build/build-target.ts";
import { makePlan } from "../build/make-plan.ts";
import type { BuildOptions } from "../build/options.ts";
import { openCall } from "../call/open-call.ts";
import { makeGraph } from "./make-graph.ts";
import type { BuildGraph } from "./types.ts";

/**
 * The plan of a build as a graph, without building. Base images are looked up, because steps depend on their variables.
 * @throws what planning throws: DOCKERFILE_*, PLAN_*, REGISTRY_*
 */
export async function graphBuild(options: BuildOptions): Promise<BuildGraph> {
  const plan = await openCall(options, async (call) => {
    const dockerfile = parseDockerfile(call.source.bytes, { file: call.source.name });
    return makePlan(dockerfile, { ...call, options });
  });
  return makeGraph(plan, await lastBuild(options));
}

/** One file is read: whoever only looks needs no state root. */
async function lastBuild(options: BuildOptions): Promise<BuildRecord | undefined> {
  const root = resolve(options.root ?? defaultRoot());
  return openLocalCache({ directory: root, tmpDir: root }).loadBuildRecord(targetOf(options));
}
