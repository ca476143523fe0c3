import type { IgnoreRule } from "../types.ts";
import { IgnoreRules, type RuleLine } from "./ignore-rules.ts";

/** A rule that has a say about a path. */
export interface RuleMatch {
  readonly rule: IgnoreRule;
  /** Takes the path back from the rules before it. */
  readonly isException: boolean;
  /** What the rule matches: the path itself, or the folder on the way to it that it takes with all its content. */
  readonly matched: string;
}

/**
 * Every rule that has a say about `path`, in the order of the file: the last one decides. Looks at each rule by itself,
 * which is for explanations and not for walks.
 */
export function explainPath({ lines }: IgnoreRules, path: string): readonly RuleMatch[] {
  return lines.flatMap((line) => {
    const matched = shortestMatch(line, path);
    if (matched === undefined) return [];
    const { file, line: number, pattern, isException } = line;
    return [{ rule: { file, line: number, pattern }, isException, matched }];
  });
}

function shortestMatch(line: RuleLine, path: string): string | undefined {
  const alone = new IgnoreRules([{ ...line, isException: false }]);
  const names = path.split("/");
  const prefixes = names.map((_, index) => names.slice(0, index + 1).join("/"));
  return prefixes.find((prefix) => alone.match(prefix) !== undefined);
}
