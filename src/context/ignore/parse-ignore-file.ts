import { posix } from "node:path";
import { isTsbuildError, locateError } from "../../core/index.ts";
import { byteString, textOf } from "../byte-strings.ts";
import { contextError } from "../errors.ts";
import { compilePattern } from "./compile-pattern.ts";
import { IgnoreRules, type RuleLine } from "./ignore-rules.ts";

/**
 * Reads a .dockerignore: one pattern a line, `#` in the first column is a comment, `!` makes an exception, everything
 * is relative to the context's root. `file` is how messages name it.
 * @throws CONTEXT_IGNORE_INVALID with the location of the line
 */
export function parseIgnoreFile(content: string | Buffer, file: string): IgnoreRules {
  const text = typeof content === "string" ? content : textOf(byteString(content));
  const rules: RuleLine[] = [];
  for (const [index, line] of text
    .replace(/^\ufeff/, "")
    .split("\n")
    .entries()) {
    if (line.startsWith("#")) continue;
    const rule = parseRule(line, { file, line: index + 1 });
    if (rule !== undefined) rules.push(checked(rule));
  }
  return new IgnoreRules(rules);
}

/**
 * One line as a rule; undefined for a blank one.
 * @throws CONTEXT_IGNORE_INVALID for a lone `!`
 */
export function parseRule(
  line: string,
  place: { readonly file: string; readonly line: number },
): RuleLine | undefined {
  const pattern = line.trim();
  if (pattern === "") return undefined;
  const isException = pattern.startsWith("!");
  const path = isException ? pattern.slice(1).trim() : pattern;
  if (path === "") {
    throw contextError("CONTEXT_IGNORE_INVALID", `illegal exclusion pattern: "!"`, {
      hint: "write the path to keep behind the !",
      location: { ...place, column: line.indexOf("!") + 1, length: 1 },
    });
  }
  return { ...place, pattern, isException, path: cleanPattern(path) };
}

/** `a//b/../c/` is `a/c`; one leading slash goes, but `/` alone stays and matches nothing. */
function cleanPattern(path: string): string {
  const normal = posix.normalize(path);
  const clean = normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
  return clean.length > 1 && clean.startsWith("/") ? clean.slice(1) : clean;
}

/** Compiles the pattern once more than needed, so that a broken pattern is reported with its line. */
function checked(rule: RuleLine): RuleLine {
  try {
    compilePattern(rule.path);
    return rule;
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const { file, line } = rule;
    throw locateError(
      contextError("CONTEXT_IGNORE_INVALID", error.message, { hint: error.hint, cause: error }),
      { file, line, column: 1 },
    );
  }
}
