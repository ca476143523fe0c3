import { planErrorAt } from "./errors.ts";
import { readMountTarget } from "./mount-fields.ts";
import type { StageNode, Step } from "./stage-graph.ts";

/** Everything that a stage needs directly. */
export function dependenciesOf(stage: StageNode): readonly StageNode[] {
  const sources = stage.steps.flatMap((step) =>
    step.sources.filter((source) => source !== undefined),
  );
  return stage.base.kind === "stage" ? [stage.base.stage, ...sources] : sources;
}

/**
 * Walks depth first without recursion, so that thousands of stages are no problem.
 * @throws PLAN_STAGE_CYCLE when a stage needs itself
 */
export function refuseCycles(stages: readonly StageNode[]): void {
  const done = new Set<StageNode>();
  const path = new Set<StageNode>();
  const open: StageNode[] = [...stages].reverse();
  for (let stage = open.at(-1); stage !== undefined; stage = open.at(-1)) {
    if (done.has(stage) || path.has(stage)) {
      // Everything that it needs has been walked.
      open.pop();
      path.delete(stage);
      done.add(stage);
      continue;
    }
    path.add(stage);
    for (const needed of dependenciesOf(stage)) {
      if (path.has(needed)) throw cycle(stage, needed);
      if (!done.has(needed)) open.push(needed);
    }
  }
}

/** Blames the instruction that closes the circle; FROM cannot, because it only finds stages above it. */
function cycle(reader: StageNode, stage: StageNode): Error {
  const closing = reader.steps.find(({ sources }) => sources.includes(stage));
  return planErrorAt(
    closing?.instruction.location ?? reader.location,
    "PLAN_STAGE_CYCLE",
    `circular dependency detected on stage: ${stage.title}`,
    "a stage can only use stages above it; break the circle of FROM and --from",
  );
}

/** The stages that `targets` need, themselves included. */
export function reachableFrom(targets: readonly StageNode[]): ReadonlySet<StageNode> {
  const reachable = new Set(targets);
  for (const stage of reachable) {
    for (const needed of dependenciesOf(stage)) reachable.add(needed);
  }
  return reachable;
}

/** @throws PLAN_STAGE_ORDER when a step reads from a stage below its own */
export function refuseForwardReferences(stage: StageNode): void {
  for (const step of stage.steps) {
    for (const [index, source] of step.sources.entries()) {
      if ((source?.index ?? -1) <= (stage.index ?? 0)) continue;
      throw planErrorAt(
        step.instruction.location,
        "PLAN_STAGE_ORDER",
        describeForwardReference(step, { index, from: source?.title ?? "", to: stage.title }),
        "move the stage that is read from above the one that reads",
      );
    }
  }
}

function describeForwardReference(
  { instruction }: Step,
  { index, from, to }: { readonly index: number; readonly from: string; readonly to: string },
): string {
  if (instruction.keyword !== "RUN") {
    return `cannot copy from stage "${from}", it needs to be defined before current stage "${to}"`;
  }
  const target = readMountTarget(instruction.mounts[index] ?? "");
  return `cannot mount from stage "${from}" to "${target}", stage needs to be defined before current command`;
}
