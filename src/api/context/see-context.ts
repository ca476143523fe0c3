import {
  IgnoreRules,
  openDirectoryContext,
  readIgnoreRules,
  type BuildContext,
} from "../../context/index.ts";
import { hostPlatform, isTsbuildError } from "../../core/index.ts";
import { parseDockerfile } from "../../dockerfile/index.ts";
import type { MergedTree } from "../../layer/index.ts";
import type { Plan } from "../../plan/index.ts";
import { makePlan } from "../build/make-plan.ts";
import type { BuildOptions } from "../build/options.ts";
import { openCall, type OpenCall } from "../call/open-call.ts";
import { findUses, type FoundUse } from "./find-uses.ts";
import { surveyTree, type Survey } from "./survey.ts";

/** A context that was looked at, with who reads what of it. */
export interface SeenContext {
  readonly tree: MergedTree | BuildContext;
  /** Absolute path of the Dockerfile, where it is a file of this host. */
  readonly dockerfile: string | undefined;
  /** Where it lies; undefined for a context that is no directory. */
  readonly directory: string | undefined;
  /** Empty for a context that is no directory: what was fetched is not filtered. */
  readonly rules: IgnoreRules;
  readonly survey: Survey;
  readonly uses: readonly FoundUse[];
  /** Why the Dockerfile cannot be planned. */
  readonly problem: string | undefined;
}

/**
 * Looks at every name of the main context, and plans all stages of the Dockerfile to learn what they read of it.
 * @throws DOCKERFILE_NOT_FOUND, CONTEXT_*, CANCELED; what is wrong inside the Dockerfile is a part of the result
 */
export async function seeContext<Result>(
  options: BuildOptions,
  work: (seen: SeenContext) => Promise<Result>,
): Promise<Result> {
  return openCall(options, async (call) => {
    const opened = await openTree(call);
    const survey = await surveyTree(opened.tree, options.signal);
    const planned = await planAll(options, call);
    const uses =
      planned.plan === undefined
        ? []
        : await findUses(planned.plan, { tree: opened.tree, nodes: survey.nodes });
    const { dockerfile } = call;
    return work({ ...opened, dockerfile, survey, uses, problem: planned.problem });
  });
}

async function openTree({ context, dockerfile }: OpenCall) {
  if (context.type === "tree")
    return { tree: context.tree, directory: undefined, rules: new IgnoreRules([]) };
  const place = { directory: context.directory, dockerfile };
  const { directory } = context;
  return {
    tree: await openDirectoryContext(place),
    directory,
    rules: await readIgnoreRules(place),
  };
}

async function planAll(
  options: BuildOptions,
  call: OpenCall,
): Promise<{ readonly plan?: Plan; readonly problem: string | undefined }> {
  const { source, targets } = call;
  const [platform = hostPlatform()] = targets.platforms;
  try {
    const dockerfile = parseDockerfile(source.bytes, { file: source.name });
    const request = { ...call, options, targets: { ...targets, platforms: [platform] } };
    return {
      plan: await makePlan(dockerfile, { ...request, allStages: true }),
      problem: undefined,
    };
  } catch (error) {
    if (!isTsbuildError(error) || error.code === "CANCELED") throw error;
    const line =
      error.location === undefined ? "" : `${source.name}:${String(error.location.line)}: `;
    return { problem: `${line}${error.message.split("\n", 1)[0] ?? ""}` };
  }
}
