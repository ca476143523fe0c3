import type { SourceLocation } from "./errors.ts";

/** Lines shown around the marked ones. */
const context = 2;
/** Of a longer range only the beginning and the end are shown. */
const longestRange = 12;

/**
 * The lines around a place in a text file, for people: `file:line`, two lines of context on both sides, `>>>` before
 * every line of the range, and a row of `^` under a range that is only a part of one line. Ends with a line feed.
 *
 * `lines` is the whole file without line ends. A location beyond its end shows the last lines.
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
    const text = lines[number - 1] ?? "";
    const mark = number >= start && number <= end ? ">>>" : "   ";
    rows.push(`${String(number).padStart(width)} | ${mark} ${text}`.trimEnd());
    if (number === start) rows.push(...underline(text, { ...location, line: start }, width));
  }
  return [`${location.file}:${String(location.line)}`, ...rows, ""].join("\n");
}

function isElided(number: number, start: number, end: number): boolean {
  return end - start >= longestRange && number === start + longestRange / 2;
}

/** Tabs stay tabs, so that the marks stand under what they mark. */
function underline(text: string, location: SourceLocation, width: number): readonly string[] {
  const { column, length = 0, line, endLine = line } = location;
  const isWholeLine = text.slice(0, column - 1).trim() === "" && length >= text.trim().length;
  if (length < 1 || isWholeLine || endLine > line || column > text.length) return [];
  const padding = text.slice(0, column - 1).replace(/[^\t]/g, " ");
  return [`${"".padStart(width)} |     ${padding}${"^".repeat(length)}`];
}
