import { locateError, type SourceLocation } from "../core/index.ts";
import { blanks, trimEndOf, trimSpace, trimStart, type EscapeCharacter } from "./characters.ts";
import { dockerfileError } from "./errors.ts";
import { findHeredocMarkers, readHeredocBody } from "./heredoc.ts";
import { readJsonArray } from "./json-form.ts";
import { locateLine, trimLineEnd } from "./lines.ts";
import { splitFlags } from "./split-flags.ts";
import type { Comment, Heredoc } from "./types.ts";

/** One instruction's text: continuations joined with nothing in between, comments and blank lines dropped. */
export interface LogicalLine {
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
  /** The comments above it. */
  readonly comments: readonly Comment[];
  /** Where its own text ends, when a blank line stands among its lines. */
  readonly blankContinuation: SourceLocation | undefined;
  /** Covers every physical line, the bodies of heredocs included. */
  readonly location: SourceLocation;
}

export interface ReadLinesOptions {
  readonly file: string;
  readonly escape: EscapeCharacter;
  /** Lines at the head of the file that hold parser directives. Default: none. */
  readonly directiveLines?: number;
}

/**
 * Groups physical lines into instructions.
 * @throws DOCKERFILE_HEREDOC for a body without terminator
 */
export function* readLogicalLines(
  lines: readonly string[],
  options: ReadLinesOptions,
): Generator<LogicalLine> {
  let next = options.directiveLines ?? 0;
  let comments: Comment[] = [];
  while (next < lines.length) {
    const line = trimLineEnd(lines[next] ?? "");
    const first = trimStart(line);
    if (first.startsWith("#")) {
      // The first character goes, whichever it is: see Comment.text.
      const text = trimSpace(line.slice(1));
      if (text === "") comments = [];
      else comments.push({ text, location: locateLine(options.file, lines, next) });
    }
    if (first === "" || first.startsWith("#")) {
      next++;
      continue;
    }
    const joined = joinContinuations(lines, next, options.escape);
    const text = joined.pieces.map((piece) => piece.text).join("");
    const bodies = readBodies(lines, { text, next: joined.next, start: next, ...options });
    yield {
      text,
      heredocs: bodies.heredocs,
      comments,
      blankContinuation: joined.hasBlankLine
        ? locateLine(options.file, lines, joined.next - 1)
        : undefined,
      location: { ...locateLine(options.file, lines, next), endLine: bodies.next },
    };
    comments = [];
    next = bodies.next;
  }
}

/** A part of an instruction's text that stands on one line. */
export interface LinePiece {
  readonly text: string;
  /** Index of its line. */
  readonly line: number;
  /** Where it begins on the line, from 0. */
  readonly column: number;
}

export interface JoinedLines {
  /** Joined with nothing in between, they are the instruction's text. */
  readonly pieces: readonly LinePiece[];
  /** Index of the line behind. */
  readonly next: number;
  readonly hasBlankLine: boolean;
}

/** The lines of the instruction that begins on the line with the index `start`, bodies of heredocs left out. */
export function joinContinuations(
  lines: readonly string[],
  start: number,
  escape: EscapeCharacter,
): JoinedLines {
  const line = trimLineEnd(lines[start] ?? "");
  const first = cutContinuation(trimStart(line), escape);
  const pieces = [{ text: first.text, line: start, column: line.length - trimStart(line).length }];
  let continues = first.continues;
  let hasBlankLine = false;
  let next = start + 1;
  for (; continues && next < lines.length; next++) {
    const line = trimLineEnd(lines[next] ?? "");
    const bare = trimStart(line);
    hasBlankLine ||= bare === "";
    if (bare === "" || bare.startsWith("#")) continue;
    const piece = cutContinuation(line, escape);
    pieces.push({ text: piece.text, line: next, column: 0 });
    continues = piece.continues;
  }
  return { pieces, next, hasBlankLine };
}

/** A line continues when it ends with one escape character, blanks behind it aside. Two of them are text. */
function cutContinuation(
  line: string,
  escape: EscapeCharacter,
): { readonly text: string; readonly continues: boolean } {
  const end = trimEndOf(line, " \t");
  const continues = end.endsWith(escape) && end.at(-2) !== escape;
  return continues ? { text: end.slice(0, -1), continues } : { text: line, continues };
}

function readBodies(
  lines: readonly string[],
  instruction: ReadLinesOptions & {
    readonly text: string;
    readonly start: number;
    readonly next: number;
  },
): { readonly heredocs: readonly Heredoc[]; readonly next: number } {
  const heredocs: Heredoc[] = [];
  let next = instruction.next;
  if (!mayHaveHeredocs(instruction.text, instruction.escape)) return { heredocs, next };
  const location = locateLine(instruction.file, lines, instruction.start);
  for (const marker of markersOf(instruction.text, location)) {
    const body = readHeredocBody(lines, next, marker);
    if (body === undefined) throw unterminated(marker.name, { ...location, endLine: lines.length });
    heredocs.push(body.heredoc);
    next = body.next;
  }
  return { heredocs, next };
}

function markersOf(text: string, location: SourceLocation): ReturnType<typeof findHeredocMarkers> {
  try {
    return findHeredocMarkers(text);
  } catch (error) {
    throw locateError(error, location);
  }
}

/** RUN, COPY, ADD, and these behind ONBUILD; never in JSON form. */
export function mayHaveHeredocs(text: string, escape: EscapeCharacter): boolean {
  if (!text.includes("<<")) return false;
  const { keyword, rest } = splitKeyword(text);
  const { rest: words } = splitFlags(rest, escape);
  if (keyword.toUpperCase() === "ONBUILD") {
    const trigger = splitKeyword(words);
    return trigger.keyword.toUpperCase() !== "ONBUILD" && mayHaveHeredocs(words, escape);
  }
  if (!["RUN", "COPY", "ADD"].includes(keyword.toUpperCase())) return false;
  return readJsonArray(words).kind === "none";
}

/** The first word and everything behind it, both without surrounding blanks. */
export function splitKeyword(text: string): { readonly keyword: string; readonly rest: string } {
  const trimmed = trimSpace(text);
  const blank = blanks.exec(trimmed);
  if (blank === null) return { keyword: trimmed, rest: "" };
  return {
    keyword: trimmed.slice(0, blank.index),
    rest: trimSpace(trimmed.slice(blank.index + blank[0].length)),
  };
}

function unterminated(name: string, location: SourceLocation): Error {
  return dockerfileError("DOCKERFILE_HEREDOC", `unterminated heredoc <<${name}`, {
    hint: `write ${name} alone on a line, without blanks around it`,
    location,
  });
}
