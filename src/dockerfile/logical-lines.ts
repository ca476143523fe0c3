import { locateError, type SourceLocation } from "../core/index.ts";
import { blanks, trimSpace, trimStart, type EscapeCharacter } from "./characters.ts";
import { dockerfileError } from "./errors.ts";
import { findHeredocMarkers, readHeredocBody } from "./heredoc.ts";
import { readJsonArray } from "./json-form.ts";
import { joinContinuations } from "./join-lines.ts";
import { locateLine, trimLineEnd } from "./lines.ts";
import { locateText } from "./locate-text.ts";
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
  for (const { marker, word } of markersOf(instruction.text, location)) {
    const body = readHeredocBody(lines, next, marker);
    if (body === undefined) throw unterminated(marker.name, { word, lines, instruction });
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

function unterminated(
  name: string,
  place: {
    readonly word: string;
    readonly lines: readonly string[];
    readonly instruction: ReadLinesOptions & { readonly start: number };
  },
): Error {
  const { word, lines, instruction } = place;
  const whole = {
    ...locateLine(instruction.file, lines, instruction.start),
    endLine: lines.length,
  };
  return dockerfileError("DOCKERFILE_HEREDOC", `unterminated heredoc <<${name}`, {
    hint: `write ${name} alone on a line, without blanks around it`,
    location: locateText({ lines, escape: instruction.escape }, whole, { text: word }) ?? whole,
  });
}
