import type { PlanOptions, PlanWarning } from "../types.ts";
import type { EscapeCharacter, Lookup, StageInstruction } from "../../dockerfile/index.ts";
import type { GlobalArgs } from "../global-args.ts";
import type { Step } from "../stage-graph.ts";
import type { StageState } from "../stage-state.ts";
import type { StepLint } from "../lint-step.ts";
import type { StepNames } from "../step-names.ts";
import type { VertexId } from "../types.ts";
import type { VertexTable } from "../vertex-table.ts";

/** What a rule may see and do beside changing its stage. */
export interface RuleScope extends StepLint {
  readonly state: StageState;
  readonly step: Step;
  /** For display; what is used is looked up by `lookupUsed`, or by `expand`. */
  readonly lookup: Lookup;
  readonly escape: EscapeCharacter;
  readonly globalArgs: GlobalArgs;
  readonly options: PlanOptions;
  readonly proxies: readonly string[];
  readonly vertices: VertexTable;
  readonly names: StepNames;
  /** RUN, COPY and ADD of this stage run again whatever the cache says. */
  readonly ignoreCache: boolean;
  /** Final filesystem of a stage or image that the step reads from. */
  readonly rootOf: (source: NonNullable<Step["sources"][number]>) => VertexId;
  readonly contextVertex: () => VertexId;
  readonly warn: (warning: PlanWarning) => void;
  /** Expands one word. @throws DOCKERFILE_* */
  readonly expand: (word: string) => string;
}

/** Folds one instruction into its stage. */
export type Rule<Instruction extends StageInstruction> = (
  instruction: Instruction,
  scope: RuleScope,
) => void;

/** One history entry; with a vertex it stands for that vertex' layer. */
export function addHistory(state: StageState, createdBy: string, vertex?: VertexId): void {
  state.history.own.push({ createdBy, ...(vertex === undefined ? {} : { vertex }) });
}
