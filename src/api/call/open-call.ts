import { StepLog } from "../../build/index.ts";
import { systemClock } from "../../core/index.ts";
import type { PlanOptions } from "../../plan/index.ts";
import { openChecks, type Checks } from "../build/checks.ts";
import { choosePlatforms, type TargetPlatforms } from "../build/choose-platforms.ts";
import { locateContext } from "../build/context-place.ts";
import { readNamedContexts } from "../build/named-contexts.ts";
import type { BuildOptions } from "../build/options.ts";
import { openRemotes } from "../build/remotes.ts";
import {
  openLocalSources,
  withSource,
  type BuildSources,
  type MainContext,
} from "../build/sources.ts";
import { lazyEngine, type LazyEngine } from "./lazy-engine.ts";
import { PlanBases } from "./plan-bases.ts";
import type { SourceFile } from "./source-file.ts";

/** What planning needs, for somebody who does not build. */
export interface OpenCall {
  readonly source: SourceFile;
  /** Where the Dockerfile lies on this host; absent when it came from elsewhere. */
  readonly dockerfile: string | undefined;
  readonly context: MainContext;
  readonly checks: Checks;
  readonly targets: TargetPlatforms;
  readonly bases: PlanBases;
  readonly steps: StepLog;
  readonly contexts: {
    readonly named: PlanOptions["namedContexts"] & {};
    readonly resolveTime: PlanOptions["resolveTime"] & {};
  };
}

/**
 * Reads context and Dockerfile as a build does, for `work` to plan with.
 * @throws DOCKERFILE_NOT_FOUND, CONTEXT_*, HTTP_*, and what `work` throws, with the text that it points at
 */
export async function openCall<Result>(
  options: BuildOptions,
  work: (call: OpenCall) => Promise<Result>,
): Promise<Result> {
  const targets = choosePlatforms(options);
  const listener = options.progress ?? (() => undefined);
  const steps = new StepLog({ listener, clock: options.clock ?? systemClock });
  const named = await readNamedContexts(options.namedContexts ?? []);
  const engine = lazyEngine(options);
  const bases = new PlanBases(engine, options);
  try {
    const { dockerfile, context } = await openSources(options, { engine, steps });
    const directory = context.type === "directory" ? context.directory : undefined;
    const call: OpenCall = {
      source: { name: dockerfile.shown, bytes: dockerfile.bytes },
      dockerfile: dockerfile.path,
      context,
      checks: openChecks({ options, directory, dockerfile: dockerfile.path }),
      targets,
      bases,
      steps,
      // Nothing that is told depends on when something was made.
      contexts: { named: named.contexts, resolveTime: () => Promise.resolve(0) },
    };
    return await work(call).catch((error: unknown) => {
      throw withSource(error, dockerfile);
    });
  } finally {
    await bases.close();
    await engine.close();
  }
}

async function openSources(
  options: BuildOptions,
  { engine: lazy, steps }: { readonly engine: LazyEngine; readonly steps: StepLog },
): Promise<BuildSources> {
  const place = await locateContext(options.context);
  const local = await openLocalSources(place, options.file);
  if (local !== undefined) return local;
  const engine = await lazy.open();
  const remotes = openRemotes({ engine, options, place });
  const { openRemoteSources } = await import("../build/remote-sources.ts");
  return engine.store.protect(() => openRemoteSources({ place, options, engine, steps, remotes }));
}
