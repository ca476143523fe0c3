import type { Reason } from "../explain/reason.ts";

/** What a build would do, found out without one. */
export interface Forecast {
  /** In the order of the plan: base images, and what is a line on the screen of a build. */
  readonly steps: readonly ForecastStep[];
  readonly estimate: Estimate;
}

export interface ForecastStep {
  /** As progress would show it. */
  readonly name: string;
  readonly type: "image" | "step";
  readonly outcome: ForecastOutcome;
  /** Names of what it waits for before anybody knows; of `depends` alone. */
  readonly dependsOn: readonly string[];
  /** Why it is not simply cached, the first reason first. Empty for what is cached or not needed. */
  readonly reasons: readonly Reason[];
  /** The first reason as a build says it. */
  readonly why?: string;
  /** How long it took the last time, in milliseconds; absent where nobody knows. */
  readonly durationMs?: number;
}

export type ForecastOutcome =
  /** Its result is in the cache; of a base image: its files are here, or nobody needs them. */
  | "cached"
  | "run"
  /** Another step or a download comes first; what that gives decides whether the cache knows this one. */
  | "depends"
  /** Not in the cache, and nothing asks for it: what is built from it is. */
  | "skipped"
  /** A base image whose layers would be fetched. */
  | "pull";

/** How long it would take, in milliseconds, from how long each step took the last time. Steps that need not wait for each other run at the same time. */
export interface Estimate {
  /** When everything that depends on something turns out to be cached. */
  readonly atLeastMs: number;
  /** When all of it runs. */
  readonly atMostMs: number;
  /** Steps among those that may run of which nobody knows how long they take: they count for nothing in both. */
  readonly unknown: number;
}
