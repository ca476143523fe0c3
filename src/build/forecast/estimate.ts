import type { Plan, VertexId } from "../../plan/index.ts";
import type { Fate } from "./fate.ts";
import type { Estimate } from "./types.ts";

/**
 * How long the steps that run take together: the longest way through the plan, because those that need not wait for
 * each other run at the same time. `durationOf` gives milliseconds, or undefined where nobody knows.
 */
export function estimate(
  plan: Plan,
  steps: {
    readonly fateOf: (id: VertexId) => Fate;
    readonly durationOf: (id: VertexId) => number | undefined;
  },
): Estimate {
  const [least, most] = [new Map<VertexId, number>(), new Map<VertexId, number>()];
  let unknown = 0;
  for (const { id, inputs, op } of plan.vertices) {
    const fate = steps.fateOf(id).type;
    // What is cached is there at once, whatever it was built from.
    if (fate !== "runs" && fate !== "depends") continue;
    const duration = steps.durationOf(id);
    // Placing a layer is next to nothing, and no step on the screen.
    if (duration === undefined && op.type !== "merge") unknown += 1;
    const after = (ends: ReadonlyMap<VertexId, number>): number =>
      Math.max(0, ...inputs.map((input) => ends.get(input) ?? 0));
    least.set(id, after(least) + (fate === "runs" ? (duration ?? 0) : 0));
    most.set(id, after(most) + (duration ?? 0));
  }
  const endOf = (ends: ReadonlyMap<VertexId, number>): number =>
    Math.max(0, ...plan.targets.map(({ vertex }) => ends.get(vertex) ?? 0));
  return { atLeastMs: endOf(least), atMostMs: endOf(most), unknown };
}
