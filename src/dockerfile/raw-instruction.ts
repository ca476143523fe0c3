import type { SourceLocation, TsbuildError } from "../core/index.ts";
import type { EscapeCharacter } from "./characters.ts";
import { dockerfileError, type DockerfileErrorCode } from "./errors.ts";
import type { LogicalLine } from "./logical-lines.ts";
import { splitKeyword } from "./logical-lines.ts";
import { splitFlags } from "./split-flags.ts";
import { locatePart, type InstructionPart } from "./syntax-tree.ts";
import type { Comment, Heredoc } from "./types.ts";

/** An instruction cut into keyword, flags and the rest, before its own grammar is applied. */
export interface RawInstruction {
  /** As written. */
  readonly keyword: string;
  /** Leading `--…` words, quotes removed. */
  readonly flags: readonly string[];
  /** Everything behind the flags, trimmed. */
  readonly rest: string;
  readonly heredocs: readonly Heredoc[];
  readonly comments: readonly Comment[];
  readonly original: string;
  readonly location: SourceLocation;
  readonly escape: EscapeCharacter;
  /** Physical lines without their ends; undefined for a trigger, whose place is the FROM that fires it. */
  readonly lines: readonly string[] | undefined;
}

export function cutInstruction(
  line: LogicalLine,
  options: { readonly escape: EscapeCharacter; readonly lines: readonly string[] | undefined },
): RawInstruction {
  const { keyword, rest } = splitKeyword(line.text);
  return {
    keyword,
    ...splitFlags(rest, options.escape),
    heredocs: line.heredocs,
    comments: line.comments,
    original: line.text,
    location: line.location,
    ...options,
  };
}

/** What every instruction is made of, whatever its keyword. */
export function syntaxOf(raw: RawInstruction): {
  location: SourceLocation;
  original: string;
  comments?: readonly Comment[];
} {
  const { location, original, comments } = raw;
  return { location, original, ...(comments.length === 0 ? {} : { comments }) };
}

export interface FailureOptions {
  readonly hint?: string | undefined;
  /** The part that is wrong; the whole instruction when absent. */
  readonly part?: InstructionPart;
}

/** An error that points at the instruction, or at the named part of it. */
export function instructionError(
  raw: RawInstruction,
  code: DockerfileErrorCode,
  message: string,
  { hint, part }: FailureOptions = {},
): TsbuildError<DockerfileErrorCode> {
  const location = part === undefined ? raw.location : locatePart(raw, part);
  return dockerfileError(code, message, { hint, location });
}

/** Instructions whose argument is the whole rest of the line. */
const takesOneArgument = new Set(["WORKDIR", "USER", "MAINTAINER", "STOPSIGNAL"]);

/** @throws DOCKERFILE_ARGUMENTS when the instruction has no arguments at all */
export function requireArguments(raw: RawInstruction, example: string): void {
  if (raw.rest !== "") return;
  const keyword = keywordOf(raw);
  const amount = takesOneArgument.has(keyword) ? "exactly one argument" : "at least one argument";
  throw instructionError(raw, "DOCKERFILE_ARGUMENTS", `${keyword} requires ${amount}`, {
    hint: `for example: ${example}`,
  });
}

/** The keyword in upper case, as everybody writes it. */
export function keywordOf(raw: RawInstruction): string {
  return raw.keyword.toUpperCase();
}
