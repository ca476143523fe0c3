import type { SourceLocation } from "./errors.ts";
import { blotCredentials } from "./git-reference.ts";

/** Lines shown around the marked ones. */
const context = 2;
/** Of a longer range only the beginning and the end are shown. */
const longestRange = 12;
/** UTF-16 units of a line that are shown; of a longer one the part around the mark. */
const longestLine = 300;
/** What stays before the mark of a line that is cut. */
const beforeMark = 60;

/** `Dockerfile:2:7`, as editors and terminals understand it. */
export function formatPlace({ file, line, column }: SourceLocation): string {
  return `${file}:${String(line)}:${String(column)}`;
}

/**
 * The lines around a place in a text file, for people: `file:line:column`, two lines of context on both sides, `>>>`
 * before every line of the range, and a row of `^` under a range that is only a part of one line. Ends with a line feed.
 *
 * `lines` is the whole file without line ends. A location beyond its end shows the last lines. Of a very long line only
 * the part around the mark is shown, `…` for the rest. Of URLs, users and passwords are not shown.
 */
export function renderExcerpt(lines: readonly string[], location: SourceLocation): string {
  const last = Math.max(lines.length, 1);
  const start = Math.min(location.line, last);
  const end = Math.min(Math.max(location.endLine ?? start, start), last);
  const width = String(Math.min(end + context, last)).length + 3;
  const rows: string[] = [];
  for (
    let number = Math.max(start - context, 1);
    number <= Math.min(end + context, last);
    number++
  ) {
    if (isElided(number, start, end)) {
      rows.push(`${"".padStart(width)} | ...`);
      number = end - longestRange / 2;
      continue;
    }
    const line = blotCredentials(lines[number - 1] ?? "");
    const shown = cutLine(line, number === start ? markOf(line, { ...location, line: start }) : []);
    const mark = number >= start && number <= end ? ">>>" : "   ";
    rows.push(`${String(number).padStart(width)} | ${mark} ${shown.text}`.trimEnd());
    if (shown.underline !== "") rows.push(`${"".padStart(width)} |     ${shown.underline}`);
  }
  return [formatPlace(location), ...rows, ""].join("\n");
}

function isElided(number: number, start: number, end: number): boolean {
  return end - start >= longestRange && number === start + longestRange / 2;
}

/** From where to where a line is underlined, counted from 0; empty when all of it, or nothing, is meant. */
function markOf(line: string, location: SourceLocation): readonly [number, number] | readonly [] {
  const { column, length = 0, endLine = location.line } = location;
  const from = column - 1;
  const to = Math.min(from + length, line.length);
  const isWholeLine = line.slice(0, from).trim() === "" && to >= line.trimEnd().length;
  if (to <= from || isWholeLine || endLine > location.line) return [];
  return [from, to];
}

function cutLine(
  line: string,
  [from = 0, to = 0]: readonly [number, number] | readonly [],
): { readonly text: string; readonly underline: string } {
  const isCut = line.length > longestLine;
  const start = isCut && to > longestLine ? Math.max(from - beforeMark, 0) : 0;
  const end = isCut ? start + longestLine : line.length;
  const before = start > 0 ? "…" : "";
  const text = `${before}${line.slice(start, end)}${end < line.length ? "…" : ""}`;
  // Tabs stay tabs, so that the marks stand under what they mark.
  const padding = before + line.slice(start, from);
  const length = Math.min(to, end) - from;
  return {
    text,
    underline: to > from ? padding.replace(/[^\t]/g, " ") + "^".repeat(length) : "",
  };
}
