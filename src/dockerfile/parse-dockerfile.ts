import { isTsbuildError, TsbuildError, type SourceLocation } from "../core/index.ts";
import { checkGrammar } from "./check-grammar.ts";
import { readDirectives } from "./directives.ts";
import { dockerfileError } from "./errors.ts";
import { addToStages, type StageGroups } from "./group-stages.ts";
import { splitLines, trimLineEnd } from "./lines.ts";
import { readLogicalLines } from "./logical-lines.ts";
import { parseRaw } from "./parse-instruction.ts";
import { cutInstruction, type RawInstruction } from "./raw-instruction.ts";
import type { Directives, Dockerfile, Instruction } from "./types.ts";

export interface ParseOptions {
  /** Name for messages and locations. */
  readonly file: string;
  /** Is told what has been read so far, also when something later cannot be read. */
  readonly observer?: ParseObserver | undefined;
}

/** Watches a Dockerfile being read; what it throws ends the reading. */
export interface ParseObserver {
  onDirectives(directives: Directives): void;
  onInstruction(instruction: Instruction): void;
  /** The last line of an instruction that is continued over a blank one; told once the raw grammar of the file is right. */
  onBlankContinuation(location: SourceLocation): void;
  onDockerfile(dockerfile: Dockerfile): void;
}

/**
 * Parses a Dockerfile; the first mistake ends it: one of the raw grammar (see `checkGrammar`) wherever it stands, else
 * the first of an instruction. Nothing is expanded and no stage is looked up.
 * @throws every DOCKERFILE_* code, with a location
 */
export function parseDockerfile(source: Uint8Array | string, options: ParseOptions): Dockerfile {
  const { file, observer } = options;
  if (source.length === 0) throw empty(file, "the Dockerfile cannot be empty");
  const raw = splitLines(source, file);
  const { directives, lineCount } = readDirectives(raw, file);
  observer?.onDirectives(directives);
  const { escape } = directives;
  const lines = raw.map(trimLineEnd);
  const groups: StageGroups = { globalArgs: [], stages: [] };
  const blankContinuations: SourceLocation[] = [];
  let failure: unknown;
  for (const line of readLogicalLines(raw, { file, escape, directiveLines: lineCount })) {
    const instruction = cutInstruction(line, { escape, lines });
    // Behind a failed instruction only the raw grammar counts.
    if (failure !== undefined) checkGrammar(instruction);
    else failure = attempt(instruction, { groups, observer });
    if (line.blankContinuation !== undefined) blankContinuations.push(line.blankContinuation);
  }
  for (const location of blankContinuations) observer?.onBlankContinuation(location);
  if (failure !== undefined) throw failure as Error;
  refuseNothing(file, groups);
  const dockerfile = { file, directives, lines, ...groups };
  observer?.onDockerfile(dockerfile);
  return dockerfile;
}

/** What is wrong with the meaning of one instruction, unless its raw grammar is wrong already. */
function attempt(
  raw: RawInstruction,
  { groups, observer }: Pick<ParseOptions, "observer"> & { readonly groups: StageGroups },
): unknown {
  let instruction: Instruction;
  try {
    instruction = parseRaw(raw);
  } catch (error) {
    checkGrammar(raw);
    return prefixed(error, raw.location.line);
  }
  observer?.onInstruction(instruction);
  return addToStages(groups, instruction);
}

/** As the reference frontend words it: with the first line of the instruction. */
function prefixed(error: unknown, line: number): unknown {
  if (!isTsbuildError(error)) return error;
  return new TsbuildError({
    code: error.code,
    message: `dockerfile parse error on line ${String(line)}: ${error.message}`,
    hint: error.hint,
    location: error.location,
    details: error.details,
    cause: error.cause,
  });
}

function refuseNothing(file: string, { globalArgs, stages }: StageGroups): void {
  if (stages.length > 0) return;
  if (globalArgs.length === 0) throw empty(file, "file with no instructions");
  throw dockerfileError("DOCKERFILE_NO_STAGE", "dockerfile contains no stages to build", {
    hint: "only ARG is there: add a line such as FROM debian:12",
    location: { file, line: 1, column: 1 },
  });
}

function empty(file: string, message: string): Error {
  return dockerfileError("DOCKERFILE_EMPTY", message, {
    hint: "the smallest Dockerfile is one line: FROM debian:12",
    location: { file, line: 1, column: 1 },
  });
}
