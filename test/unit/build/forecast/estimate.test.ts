import { expect, test } from "vitest";
import { estimate } from "../../../../src/build/forecast/estimate.ts";
import type { Fate } from "../../../../src/build/forecast/fate.ts";
import type { Plan, Vertex } from "../../../../src/plan/index.ts";

/** A plan of RUN steps, each with its inputs; the last one is the target. */
function planOf(...inputs: readonly (readonly number[])[]): Plan {
  const vertices = inputs.map((each, id): Vertex => {
    const op = { type: "exec" } as Vertex["op"];
    return { id, inputs: each, op, name: `step ${String(id)}` };
  });
  const targets = [{ vertex: inputs.length - 1 }] as unknown as Plan["targets"];
  return { vertices, targets, warnings: [] };
}

const runs: Fate = { type: "runs" };
const cached: Fate = { type: "cached" };
const depends: Fate = { type: "depends", on: [0] };

function estimateOf(
  plan: Plan,
  fates: readonly Fate[],
  durations: readonly (number | undefined)[],
) {
  return estimate(plan, {
    fateOf: (id) => fates[id] ?? cached,
    durationOf: (id) => durations[id],
  });
}

test("steps that stand on each other take their sum", () => {
  const plan = planOf([], [0], [1]);
  const taken = { atLeastMs: 6, atMostMs: 6, unknown: 0 };
  expect(estimateOf(plan, [runs, runs, runs], [1, 2, 3])).toEqual(taken);
});

test("of branches the longest counts", () => {
  const plan = planOf([], [], [1], [0, 2]);
  const fates = [runs, runs, runs, runs];
  expect(estimateOf(plan, fates, [100, 30, 30, 5]).atMostMs).toBe(105);
  expect(estimateOf(plan, fates, [10, 30, 30, 5]).atMostMs).toBe(65);
});

test("what is cached takes no time, whatever it was built from", () => {
  const plan = planOf([], [0], [1]);
  expect(estimateOf(plan, [runs, cached, runs], [50, 50, 1]).atMostMs).toBe(1);
});

test("what depends counts in the longer estimate alone", () => {
  const plan = planOf([], [0], [1]);
  const taken = { atLeastMs: 1, atMostMs: 6, unknown: 0 };
  expect(estimateOf(plan, [runs, depends, depends], [1, 2, 3])).toEqual(taken);
});

test("what nobody knows is counted, not guessed", () => {
  const plan = planOf([], [0]);
  const taken = { atLeastMs: 2, atMostMs: 2, unknown: 1 };
  expect(estimateOf(plan, [runs, runs], [undefined, 2])).toEqual(taken);
});

test("a chain of thousands of steps is no problem", () => {
  const plan = planOf(...Array.from({ length: 20_000 }, (_, id) => (id === 0 ? [] : [id - 1])));
  const every = { fateOf: () => runs, durationOf: () => 1 };
  expect(estimate(plan, every).atMostMs).toBe(20_000);
});
