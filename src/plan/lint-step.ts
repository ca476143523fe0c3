import {
  suggest,
  undefinedVar,
  type LintRule,
  type Lookup,
  type StageInstruction,
} from "../dockerfile/index.ts";
import type { StageState } from "./stage-state.ts";
import type { PlanOptions } from "./types.ts";

/** Reports a finding about the step at hand, or about another place of its stage. */
export type LintStepReport = (
  rule: LintRule,
  finding: {
    readonly message: string;
    readonly location?: StageInstruction["location"];
    readonly word?: string | RegExp;
  },
) => void;

/** What checks add to the planning of one step. */
export interface StepLint {
  readonly lint: LintStepReport;
  /** As the stage's own lookup, but a variable that nobody has set or declared is a finding. */
  readonly lookupUsed: Lookup;
}

/** Runs the rules that need the step alone, and gives what the others report through. */
export function lintStep(
  instruction: StageInstruction,
  { state, options }: { readonly state: StageState; readonly options: PlanOptions },
): StepLint {
  const { linter } = options;
  const lookup: Lookup = (name) => state.env.get(name);
  if (linter === undefined) return { lint: () => undefined, lookupUsed: lookup };
  const { shell = [] } = state.image.config;
  linter.onStep({ instruction, hasShell: shell.length > 0 || state.isBaseUnknown });
  const { comments = [] } = instruction;
  const lint: LintStepReport = (rule, { location = instruction.location, ...finding }) =>
    linter.report(rule, { at: { location, comments }, ...finding });
  return { lint, lookupUsed: lookupChecked(state, lint) };
}

/** With more variables than anybody writes, looking for a similar one for each that is missing would take minutes. */
const mostSuggested = 200;

/** Finds where a variable is used. */
export function useOf(name: string): RegExp {
  return new RegExp(
    `(?<!\\\\)\\$(?:${name}(?![\\p{L}\\p{N}_])|\\{${name}(?=[^\\p{L}\\p{N}_])[^}]*\\}?)`,
    "u",
  );
}

function lookupChecked(state: StageState, lint: LintStepReport): Lookup {
  return (name) => {
    const value = state.env.get(name);
    // A base that nobody could look at may have set anything.
    if (value !== undefined || state.args.has(name) || state.isBaseUnknown) return value;
    const near = state.env.size > mostSuggested ? undefined : suggest(name, state.env.keys());
    const message = undefinedVar.message(name, near);
    lint(undefinedVar, { message, word: useOf(name) });
    return undefined;
  };
}
