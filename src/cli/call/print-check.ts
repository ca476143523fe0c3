import type { CheckResult } from "../../api/index.ts";
import { blotTexts, type SourceLocation } from "../../core/index.ts";
import { displayWidth, sanitiseLine } from "../progress/terminal-text.ts";

type Warning = CheckResult["warnings"][number];

/** What a check found, for people: a headline, then each finding with the lines that it is about. */
export function formatCheck({ warnings, error, source }: CheckResult): string {
  const secrets = warnings.flatMap((warning) => warning.secrets ?? []);
  const text = blotTexts(source.bytes.toString("utf8"), secrets);
  const lines = text.replace(/\n$/, "").split(/\r?\n/);
  const found = warnings.map((warning) => formatWarning(warning, lines));
  return [...headline(warnings.length, error !== undefined), ...found].join("");
}

/** A Dockerfile that cannot be built is told by the error alone. */
function headline(count: number, hasError: boolean): string[] {
  if (count === 0) return hasError ? [] : ["Check complete, no warnings found.\n"];
  const told =
    count === 1 ? "1 warning has been found!" : `${String(count)} warnings have been found!`;
  return [`Check complete, ${told}\n`];
}

function formatWarning(warning: Warning, lines: readonly string[]): string {
  const { code, url, message, hint, location, place } = warning;
  const rows = [
    "",
    `WARNING: ${code}${url === undefined ? "" : ` - ${url}`}`,
    sanitiseLine(message, { color: false }),
    ...(hint === undefined ? [] : [`hint: ${sanitiseLine(hint, { color: false })}`]),
    ...excerpt(lines, location, place),
    "",
  ];
  return rows.join("\n");
}

const rule = "--------------------";

/** The lines with some around them, laid out as BuildKit prints them, since other programs read this; `^` under `word`. */
function excerpt(
  lines: readonly string[],
  location: SourceLocation,
  word: SourceLocation | undefined,
): readonly string[] {
  const { file, line, endLine = line } = location;
  const { first, last } = widen({ first: line, last: Math.max(endLine, line) }, lines.length);
  const rows = [`${file}:${String(line)}`, rule];
  for (let number = first; number <= last; number++) {
    const mark = number >= line && number <= endLine ? ">>>" : "   ";
    const text = lines[number - 1] ?? "";
    rows.push(
      ` ${String(number).padStart(3)} | ${mark} ${sanitiseLine(text, { color: false })}`.trimEnd(),
    );
    if (number === word?.line) rows.push(`     |     ${underline(text, word)}`);
  }
  return [...rows, rule];
}

/** Marks below a word of the line `text`, which may have tabs and wide characters. */
function underline(text: string, { column, length = 1 }: SourceLocation): string {
  const widthUntil = (end: number): number =>
    displayWidth(sanitiseLine(text.slice(0, end), { color: false }));
  const start = widthUntil(column - 1);
  return " ".repeat(start) + "^".repeat(Math.max(widthUntil(column - 1 + length) - start, 1));
}

interface Span {
  readonly first: number;
  readonly last: number;
}

/** More lines around a single one than around several, where the file has them. */
function widen({ first, last }: Span, count: number): Span {
  let shown = { first, last: Math.min(last, count) };
  const wanted = first === last ? 4 : 2;
  for (let added = 0; added < wanted; added++) {
    if (shown.first > 1) {
      shown = { ...shown, first: shown.first - 1 };
      added++;
    }
    if (shown.last < count) {
      shown = { ...shown, last: shown.last + 1 };
      added++;
    }
  }
  return shown;
}
