import type { SourceLocation } from "../../core/index.ts";
import type { Comment, Dockerfile, Instruction, StageInstruction } from "../types.ts";

/**
 * One thing that a check looks for, as data. Rules that text alone decides look for themselves, in one of the three
 * hooks; the others are reported by whoever knows the variables, the base images and the context.
 */
export interface LintRule {
  /** Rules that BuildKit does not have begin with `Tsbuild/`. */
  readonly name: string;
  /** What is expected, as one sentence without a final period. */
  readonly description: string;
  /** A page that explains the rule. */
  readonly url?: string;
  /** Reported only where the check directive asks for it. */
  readonly experimental?: boolean;
  /** For docs/checks.md: lines that are reported, and what to write instead. */
  readonly example: { readonly bad: string; readonly good: string };
  /** Sees every instruction as soon as it is read, even when a later one cannot be read at all. */
  readonly onParse?: (instruction: Instruction, report: ReportFinding) => void;
  /** Sees the whole file, before anything is expanded. */
  readonly onFile?: (dockerfile: Dockerfile, report: ReportFinding) => void;
  /** Sees the instructions of the stages that are planned, ONBUILD triggers that fire included. */
  readonly onStep?: (step: LintStep, report: ReportFinding) => void;
}

/** An instruction in the stage that it belongs to. */
export interface LintStep {
  readonly instruction: StageInstruction;
  /** Whether SHELL has been set, here or in the base. */
  readonly hasShell: boolean;
}

export interface LintFinding {
  /** The instruction that is reported, or another place. */
  readonly at: LintPlace;
  readonly message: string;
  /** What to do, where the message does not say it. */
  readonly hint?: string;
  /** The wrong part of the instruction, as it is written. */
  readonly word?: string | RegExp;
  /** Texts of the instruction, as they are written, that must not be shown with it. */
  readonly secrets?: readonly string[];
}

export interface LintPlace {
  readonly location: SourceLocation;
  /** `check=skip=…` among them turns rules off for this place. */
  readonly comments?: readonly Comment[];
}

export type ReportFinding = (finding: LintFinding) => void;

/** A finding of a rule that is on. */
export interface LintWarning {
  /** The rule's name. */
  readonly code: string;
  readonly message: string;
  readonly description: string;
  readonly url?: string;
  readonly hint?: string;
  /** All lines of the instruction. */
  readonly location: SourceLocation;
  /** The wrong word in it, where the rule knows it and the file is read to its end. */
  readonly place?: SourceLocation;
  /** Texts of the file that must not be shown where it is quoted. */
  readonly secrets?: readonly string[];
}
