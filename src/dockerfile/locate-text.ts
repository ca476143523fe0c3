import { isTsbuildError, TsbuildError, type SourceLocation } from "../core/index.ts";
import type { EscapeCharacter } from "./characters.ts";
import { joinContinuations, type LinePiece } from "./join-lines.ts";
import type { Dockerfile } from "./types.ts";

interface Source {
  readonly lines: readonly string[];
  readonly escape: EscapeCharacter;
}

/**
 * Where a text stands inside the instruction at `location`, across its continued lines, or in the bodies of its
 * heredocs; undefined when it does not. Of several the first that is a word of its own is meant, else the first. A text
 * that several lines share is located on the first of them.
 */
export function locateText(
  { lines, escape }: Source,
  location: SourceLocation,
  wanted: { readonly text: string | RegExp; readonly offset?: number; readonly length?: number },
): SourceLocation | undefined {
  const { text, offset = 0 } = wanted;
  if (text === "") return undefined;
  const start = location.line - 1;
  const { pieces, next } = joinContinuations(lines, start, escape);
  const bodies = lines
    .slice(next, location.endLine ?? next)
    .map((line, index) => ({ text: `${line}\n`, line: next + index, column: 0 }));
  for (const candidates of [pieces, bodies]) {
    const found = findWord(candidates.map((piece) => piece.text).join(""), text);
    if (found === undefined) continue;
    const { length = found.length } = wanted;
    return locateOffset(candidates, { at: found.at + offset, length, file: location.file });
  }
  return undefined;
}

function findWord(
  text: string,
  wanted: string | RegExp,
): { readonly at: number; readonly length: number } | undefined {
  if (typeof wanted !== "string") {
    const match = wanted.exec(text);
    return match === null ? undefined : { at: match.index, length: match[0].length };
  }
  const first = text.indexOf(wanted);
  const { length } = wanted;
  for (let at = first; at >= 0; at = text.indexOf(wanted, at + 1)) {
    const neighbours = [text[at - 1] ?? " ", text[at + wanted.length] ?? " "];
    if (neighbours.every((character) => /\s/.test(character))) return { at, length };
  }
  return first < 0 ? undefined : { at: first, length };
}

function locateOffset(
  pieces: readonly LinePiece[],
  { at, length, file }: { readonly at: number; readonly length: number; readonly file: string },
): SourceLocation | undefined {
  let before = 0;
  for (const piece of pieces) {
    const inside = at - before;
    if (inside < piece.text.length) {
      const rest = piece.text.trimEnd().length - inside;
      return {
        file,
        line: piece.line + 1,
        column: piece.column + inside + 1,
        length: Math.max(Math.min(length, rest), 1),
      };
    }
    before += piece.text.length;
  }
  return undefined;
}

/**
 * The same error, located at the word that its details name (`word`, and `at` and `length` for a part of it) instead of
 * at the whole instruction, whose first and last line are then the detail `lines`. Errors without one, and words that stand elsewhere (in the trigger of a base image), stay.
 */
export function pinpointWord(error: unknown, dockerfile: Dockerfile): unknown {
  if (!isTsbuildError(error) || error.location?.file !== dockerfile.file) return error;
  const { word, at, length } = error.details;
  if (typeof word !== "string") return error;
  const { escape } = dockerfile.directives;
  const location = locateText({ lines: dockerfile.lines, escape }, error.location, {
    text: word,
    ...(typeof at === "number" ? { offset: at } : {}),
    ...(typeof length === "number" ? { length } : {}),
  });
  if (location === undefined) return error;
  const { line, endLine = line } = error.location;
  return new TsbuildError({
    code: error.code,
    message: error.message,
    hint: error.hint,
    location,
    details: { ...error.details, lines: [line, endLine] },
    cause: error.cause,
  });
}
