import type { RemoteResults, Solution, StepLog } from "../../../build/index.ts";
import { parseBoolean } from "../../../core/index.ts";
import type { Plan } from "../../../plan/index.ts";
import type { BaseImages } from "../../base-images.ts";
import type { Engine } from "../../engine.ts";
import { parsePairs, type BuildOptions } from "../options.ts";

/** The caches of one build that come from elsewhere and go there. */
export interface BuildCaches {
  /** What the solver asks for what is not here; undefined where nobody named a cache. */
  readonly remote: RemoteResults | undefined;
  /** Whether the images themselves are to be caches. */
  readonly isInline: boolean;
  /**
   * Does the work of a build, and does it again while layers that a cache promised turn out not to be had: what has been
   * done by then is in the local cache, and their steps run.
   */
  retrying<T>(work: (attempt: number) => Promise<T>): Promise<T>;
  /**
   * Keeps in mind where the layers of the results can be had that are not here. Called before the results are written. With
   * `isStreamed` they are brought: what has gone into a stream cannot be taken back when a layer then turns out to be missing.
   */
  keepOrigins(solution: Solution, output: { readonly isStreamed: boolean }): Promise<void>;
  /** Writes the caches. @throws what keeps one from being written, unless it may fail */
  write(request: {
    readonly plan: Plan;
    readonly solution: Solution;
    readonly bases: BaseImages;
    readonly names: readonly string[];
  }): Promise<void>;
  close(): Promise<void>;
}

interface BuildCachesRequest {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly options: BuildOptions;
}

/** Opens what the options name; the code for it is loaded when there is something. */
export async function openBuildCaches(request: BuildCachesRequest): Promise<BuildCaches> {
  const { cacheFrom = [], cacheTo = [], buildArgs = [] } = request.options;
  const alias = parsePairs(buildArgs, "BUILD_ARG_INVALID").get("BUILDKIT_INLINE_CACHE") ?? "";
  const isInline = cacheTo.some(({ type }) => type === "inline") || parseBoolean(alias) === true;
  if (cacheFrom.length === 0 && cacheTo.length === 0) return { ...noCaches, isInline };
  const { checkTargets, openNamedCaches } = await import("./named-caches.ts");
  await checkTargets(request.engine, cacheTo);
  return { ...openNamedCaches(request), isInline };
}

const nothing = (): Promise<void> => Promise.resolve();

const noCaches: Omit<BuildCaches, "isInline"> = {
  remote: undefined,
  retrying: (work) => work(1),
  ...{ keepOrigins: nothing, write: nothing, close: nothing },
};
