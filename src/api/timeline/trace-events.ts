import type { JsonValue } from "../../core/index.ts";
import type { Timeline } from "./collect-timeline.ts";

/**
 * What chrome://tracing, Perfetto and speedscope open: a row for each step, a slice for each phase. Times are microseconds
 * since the beginning of the build.
 * @see Trace Event Format, "JSON Object Format"
 */
export function toTraceEvents(timeline: Timeline): JsonValue {
  const since = (time: number): number => (time - timeline.from) * 1000;
  const events = timeline.steps.flatMap((step, index): JsonValue[] => {
    const { name, from, to, phases, outcome, why, peakMemory, cpuMs, layerBytes, movedBytes } =
      step;
    const tid = index + 1;
    const told = { outcome, why, peakMemory, cpuMs, layerBytes, movedBytes };
    const args = Object.fromEntries(
      Object.entries(told).filter(([, value]) => value !== undefined),
    ) as Record<string, JsonValue>;
    return [
      { name: "thread_name", ph: "M", pid: 1, tid, args: { name } },
      {
        name,
        cat: "step",
        ph: "X",
        pid: 1,
        tid,
        ts: since(from),
        dur: since(to) - since(from),
        args,
      },
      ...phases.map((phase) => ({
        name: phase.phase,
        ...{ cat: "phase", ph: "X", pid: 1, tid },
        ts: since(phase.from),
        dur: since(phase.to) - since(phase.from),
      })),
    ];
  });
  return { displayTimeUnit: "ms", traceEvents: events };
}
