import { formatReason, type Forecast, type ForecastStep, type Reason } from "../../build/index.ts";

/** A forecast for programs: `build --dry-run --format json`, `explain --format json`. */
export interface ForecastDocument {
  /** False when every step is cached. */
  readonly wouldRun: boolean;
  readonly steps: readonly ForecastedStep[];
  readonly estimate: Forecast["estimate"];
}

export interface ForecastedStep extends Omit<ForecastStep, "reasons"> {
  /** Everything that differs from the last build, the first cause first. */
  readonly differences: readonly Difference[];
}

/** A reason with its sentence. */
type Difference = Reason & { readonly text: string };

export function toForecastDocument(forecast: Forecast): ForecastDocument {
  const { steps, estimate } = forecast;
  return {
    wouldRun: wouldRun(forecast),
    steps: steps.map(({ reasons, ...step }) => ({
      ...step,
      differences: reasons.map((reason) => ({
        ...withoutValues(reason),
        text: formatReason(reason),
      })),
    })),
    estimate,
  };
}

/** Whether a build would run a step, or may. */
export function wouldRun({ steps }: Forecast): boolean {
  return steps.some(({ outcome }) => outcome === "run" || outcome === "depends");
}

/** People pass passwords as build arguments. */
function withoutValues(reason: Reason): Reason {
  if (reason.type === "input") {
    return { ...reason, reason: withoutValues(reason.reason) as typeof reason.reason };
  }
  if (reason.type !== "field" || !reason.field.startsWith("env.")) return reason;
  const { previous: _previous, current: _current, ...rest } = reason;
  return rest;
}
