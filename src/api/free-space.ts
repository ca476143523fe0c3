import { explainSystemError } from "../core/index.ts";
import { collectGarbage } from "../local/index.ts";
import { openEngine, type Engine, type EngineOptions } from "./engine.ts";
import { rootsOf } from "./gc-roots.ts";

export interface PruneReport {
  /** Bytes that were freed. */
  readonly reclaimed: number;
  /** Familiar names that were removed. */
  readonly untagged: readonly string[];
  /** Another process is at work: what nobody refers to any more goes with a later prune. */
  readonly deferred: boolean;
}

/** gc needs the store for itself, so these verbs do not protect anything. */
export async function withoutProtection<T>(
  options: EngineOptions,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(options);
  try {
    return await work(engine);
  } catch (error) {
    throw explainSystemError(error);
  } finally {
    await engine.store.close();
  }
}

/** Removes what nobody refers to any more, and tells with what went before. */
export async function collect(
  engine: Engine,
  sofar: {
    readonly bytes: number;
    readonly untagged: readonly string[];
    readonly dangling: "keep" | "remove";
  },
): Promise<PruneReport> {
  const { store, snapshots, clock, signal } = engine;
  const report = await collectGarbage({
    store,
    snapshots,
    roots: () => rootsOf(engine),
    dangling: sofar.dangling,
    clock,
    signal,
  });
  if (report.type === "deferred") {
    engine.progress({
      type: "warning",
      code: "PRUNE_DEFERRED",
      message: "another tsbuild process is at work: what it may need is left alone",
      hint: "prune again when it has ended",
      time: clock.now().getTime(),
    });
  }
  return {
    reclaimed: sofar.bytes + (report.type === "done" ? report.bytes : 0),
    untagged: sofar.untagged,
    deferred: report.type === "deferred",
  };
}
