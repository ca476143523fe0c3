import type { IgnoreRules } from "./ignore-rules.ts";

/** Patterns that leave nothing of a context. */
const everything = new Set(["*", "**", "**/*"]);

/**
 * Whether an ignore file surely keeps a source of COPY out, for a check that warns about it. With an exception nothing
 * is sure: a directory that is excluded may hold files that are not.
 */
export function isIgnoredSource(rules: IgnoreRules, source: string): boolean {
  if (rules.isEmpty || rules.lines.some(({ isException }) => isException)) return false;
  if (source === "." || source === "/") return rules.lines.some(({ path }) => everything.has(path));
  return rules.match(source) !== undefined;
}
