import type { SecretWatch, StepLog } from "../../build/index.ts";
import { isIgnoredSource, readIgnoreRules } from "../../context/index.ts";
import { Linter, type Dockerfile } from "../../dockerfile/index.ts";
import type { PlanOptions } from "../../plan/index.ts";
import { parsePairs, type BuildOptions } from "./options.ts";

/** What parsing and planning need to check a Dockerfile beside reading it. */
export interface Checks {
  readonly linter: Linter;
  /** Answers what the ignore file keeps out; it is read only for a Dockerfile that copies from the context. */
  ignoredSources(dockerfile: Dockerfile): Promise<PlanOptions["isIgnored"]>;
}

export interface ChecksRequest {
  readonly options: Pick<BuildOptions, "buildArgs">;
  /** The main context, where it is a directory. */
  readonly directory: string | undefined;
  /** Path of the Dockerfile, where it is a file of this host. */
  readonly dockerfile: string | undefined;
}

/** @throws CONTEXT_IGNORE_INVALID, CONTEXT_UNREADABLE from `ignoredSources` */
export function openChecks({ options, directory, dockerfile: path }: ChecksRequest): Checks {
  const buildArgs = parsePairs(options.buildArgs ?? [], "BUILD_ARG_INVALID");
  return {
    linter: new Linter({ override: buildArgs.get("BUILDKIT_DOCKERFILE_CHECK") }),
    ignoredSources: async (dockerfile) => {
      if (directory === undefined || !copiesFromContext(dockerfile)) return undefined;
      const rules = await readIgnoreRules({ directory, dockerfile: path });
      return (source) => isIgnoredSource(rules, source);
    },
  };
}

/**
 * Parses and plans by `work`, and tells afterwards what was found, also when `work` fails.
 * @throws DOCKERFILE_CHECK_VIOLATED where the check directive makes findings errors
 */
export async function withChecks<Result>(
  request: ChecksRequest & {
    readonly steps: StepLog;
    /** Keeps the secrets of the build out of what is told. */
    readonly secretWatch?: Pick<SecretWatch, "blotOut"> | undefined;
  },
  work: (checks: Checks) => Promise<Result>,
): Promise<Result> {
  const checks = openChecks(request);
  try {
    const result = await work(checks);
    const violation = checks.linter.violation();
    if (violation !== undefined) throw violation;
    return result;
  } finally {
    const { steps, secretWatch: watch } = request;
    const clean = (text: string): string =>
      watch === undefined ? text : watch.blotOut(Buffer.from(text)).toString("utf8");
    for (const { code, message, hint, location } of checks.linter.warnings) {
      const more = hint === undefined ? {} : { hint: clean(hint) };
      steps.warn({ code, message: clean(message), location, ...more });
    }
  }
}

function copiesFromContext({ stages }: Dockerfile): boolean {
  const steps = stages.flatMap(({ instructions }) => instructions);
  return steps.some(
    (step) => step.keyword === "ADD" || (step.keyword === "COPY" && step.from === undefined),
  );
}
