import { planErrorAt } from "./errors.ts";
import type { StageNode } from "./stage-graph.ts";

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
      if (path.has(needed)) throw cycle(needed);
      if (!done.has(needed)) open.push(needed);
    }
  }
}

function cycle(stage: StageNode): Error {
  return planErrorAt(
    stage.location,
    "PLAN_STAGE_CYCLE",
    `order the stages: ${stage.title} needs itself`,
    "a stage can only use stages above it; break the circle of FROM and --from",
  );
}

/** The stages that `target` needs, itself included. */
export function reachableFrom(target: StageNode): ReadonlySet<StageNode> {
  const reachable = new Set([target]);
  for (const stage of reachable) {
    for (const needed of dependenciesOf(stage)) reachable.add(needed);
  }
  return reachable;
}

/** @throws PLAN_STAGE_ORDER when a step reads from a stage below its own */
export function refuseForwardReferences(stage: StageNode): void {
  for (const { instruction, sources } of stage.steps) {
    for (const source of sources) {
      if ((source?.index ?? -1) <= (stage.index ?? 0)) continue;
      throw planErrorAt(
        instruction.location,
        "PLAN_STAGE_ORDER",
        `read from stage ${source?.title ?? ""} in stage ${stage.title}: it is defined below`,
        "move the stage that is read from above the one that reads",
      );
    }
  }
}
