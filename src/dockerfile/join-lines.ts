import { trimEndOf, trimStart, type EscapeCharacter } from "./characters.ts";
import { trimLineEnd } from "./lines.ts";

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
