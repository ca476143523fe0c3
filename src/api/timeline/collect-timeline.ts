import {
  unreachable,
  type ProgressEvent,
  type ProgressListener,
  type StepId,
  type StepPhase,
} from "../../core/index.ts";

/** When the steps of a build did what. Times are milliseconds since the epoch. */
export interface Timeline {
  readonly from: number;
  readonly to: number;
  /** In the order in which they began. */
  readonly steps: readonly TimelineStep[];
  readonly warnings: number;
  /** Names of the image, or its id where it has none; absent for a build that failed. */
  readonly image?: string;
}

export interface TimelineStep {
  readonly name: string;
  /** Why it was not taken from the cache. */
  readonly why?: string;
  readonly outcome: "cached" | "done" | "failed" | "canceled";
  /** With the time that it waited for its turn. */
  readonly from: number;
  readonly to: number;
  /** By the time at which they began; they may overlap, and there may be gaps. */
  readonly phases: readonly TimelinePhase[];
  /** Absent where nobody could tell. */
  readonly peakMemory?: number;
  readonly cpuMs?: number;
  readonly layerBytes?: number;
  /** Bytes that were moved: pulled, pushed, downloaded. */
  readonly movedBytes?: number;
}

export interface TimelinePhase {
  readonly phase: StepPhase | "other";
  readonly from: number;
  readonly to: number;
}

type Draft = { -readonly [Key in keyof TimelineStep]: TimelineStep[Key] } & {
  phases: TimelinePhase[];
  items: Map<string, number>;
  isEnded: boolean;
};

/** Listens to a build; `finish` says what was heard. */
export interface TimelineCollector {
  readonly listener: ProgressListener;
  finish(): Timeline;
}

/** @param now milliseconds since the epoch */
export function collectTimeline(now: () => number): TimelineCollector {
  const from = now();
  const steps = new Map<StepId, Draft>();
  let warnings = 0;
  let image: string | undefined;
  const listener = (event: ProgressEvent): void => {
    if (event.type === "warning") warnings += 1;
    else if (event.type === "image-ready") image = event.names.join(", ") || event.imageId;
    else addToStep(steps, event);
  };
  return {
    listener,
    finish: () => {
      const to = now();
      const finished = [...steps.values()].map((draft) => finishStep(draft, to));
      finished.sort((a, b) => a.from - b.from);
      // Whatever waited for its turn waited inside of the build.
      return { from, to, steps: finished, warnings, ...(image === undefined ? {} : { image }) };
    },
  };
}

function addToStep(
  steps: Map<StepId, Draft>,
  event: Exclude<ProgressEvent, { readonly type: "warning" | "image-ready" }>,
): void {
  if (event.type === "step-started" || event.type === "step-cached") {
    const { name, time } = event;
    const known = steps.get(event.step);
    if (known === undefined) {
      const why = event.type === "step-started" ? event.why : undefined;
      steps.set(event.step, {
        ...{ name, from: time, to: time, phases: [], items: new Map() },
        isEnded: event.type === "step-cached",
        outcome: event.type === "step-cached" ? "cached" : "canceled",
        ...(why === undefined ? {} : { why }),
      });
    } else if (event.type === "step-cached") end(known, { outcome: "cached", time });
    return;
  }
  const step = steps.get(event.step);
  if (step === undefined) return;
  switch (event.type) {
    case "step-done":
      return end(step, { outcome: "done", time: event.time });
    case "step-failed":
      return end(step, { outcome: "failed", time: event.time });
    case "step-canceled":
      return end(step, { outcome: "canceled", time: event.time });
    case "step-phase":
      step.from = Math.min(step.from, event.from);
      step.phases.push({ phase: event.phase, from: event.from, to: event.time });
      return;
    case "step-usage": {
      const { peakMemory, cpuMs, layerBytes } = event;
      if (peakMemory !== undefined) step.peakMemory = peakMemory;
      if (cpuMs !== undefined) step.cpuMs = cpuMs;
      if (layerBytes !== undefined) step.layerBytes = layerBytes;
      return;
    }
    case "step-progress":
      if (event.unit === "bytes") step.items.set(event.item, event.current);
      return;
    case "step-output":
      return;
    default:
      unreachable(event);
  }
}

function end(
  step: Draft,
  { outcome, time }: { readonly outcome: TimelineStep["outcome"]; readonly time: number },
): void {
  step.outcome = outcome;
  step.to = time;
  step.isEnded = true;
  step.phases.sort((a, b) => a.from - b.from);
  if (step.phases.length === 0 && outcome !== "cached")
    step.phases.push({ phase: "other", from: step.from, to: time });
}

/** What was under way when the build ended was given up then. */
function finishStep(draft: Draft, to: number): TimelineStep {
  if (!draft.isEnded) end(draft, { outcome: "canceled", time: to });
  const { items, isEnded: _isEnded, ...step } = draft;
  const moved = [...items.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { ...step, ...(moved === 0 ? {} : { movedBytes: moved }) };
}
