import { isAscii } from "../byte-strings.ts";
import type { IgnoreRule } from "../types.ts";
import { compilePattern, type PathTest } from "./compile-pattern.ts";
import { mayMatchBelow, RuleIndex } from "./rule-index.ts";

/** A rule as it stands in the file, `!` taken off. */
export interface RuleLine extends IgnoreRule {
  /** `!pattern`: takes back what earlier rules excluded. */
  readonly isException: boolean;
  /** The pattern without `!`, cleaned as a path. */
  readonly path: string;
}

export type Verdict = "included" | "excluded" | "perhaps";

/**
 * Decides which paths are excluded. Paths are text as `textOf` makes it: relative, without leading or trailing slash.
 * A rule that matches a directory matches everything below it; of all rules that match, the last one decides.
 */
export class IgnoreRules {
  readonly #rules: readonly RuleLine[];
  readonly #exceptions: readonly { readonly index: number; readonly test: PathTest }[];
  readonly #index: RuleIndex;
  /** Ends of names that are excluded wherever they stand, as bytes; for whoever lists many. */
  readonly excludedEnds: readonly Uint8Array[];
  /** Number of the last rule that matches a directory or one of its parents. */
  readonly #directories = new Map<string, number>();

  /** @throws CONTEXT_PATTERN_INVALID */
  constructor(rules: readonly RuleLine[]) {
    const tests = rules.map((rule) => compilePattern(rule.path));
    this.#rules = rules;
    this.#index = new RuleIndex(tests);
    this.#exceptions = tests.flatMap((test, index) =>
      rules[index]?.isException === true ? [{ index, test }] : [],
    );
    const ends = this.hasExceptions ? [] : tests.flatMap(plainEnd);
    this.excludedEnds = ends.length > mostEnds ? [] : ends.map((end) => Buffer.from(end));
  }

  /** As they stand in the file. */
  get lines(): readonly RuleLine[] {
    return this.#rules;
  }

  /** Without any rule nothing is excluded and nobody needs to ask. */
  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** Without any, what is below an excluded directory is excluded. */
  get hasExceptions(): boolean {
    return this.#exceptions.length > 0;
  }

  /** The rule that excludes `path`; undefined when it is not excluded. The root never is. */
  match(path: string): IgnoreRule | undefined {
    const rule = this.#rules[this.#lastRule(path)];
    return rule === undefined || rule.isException ? undefined : rule;
  }

  /** Whether an excluded directory needs no look inside, because no exception can name anything below it. */
  canSkipDirectory(path: string): boolean {
    return this.#judge(path, this.#lastOfDirectory(path)) === "excluded";
  }

  /**
   * Judges the children of a directory by their names: what the directory inherits is asked once. A child that is
   * "perhaps" excluded is there if it is a directory and something below it is not excluded.
   */
  inside(directory: string): (name: string) => Verdict {
    const inherited = directory === "" ? -1 : this.#lastOfDirectory(directory);
    const below = directory === "" ? "" : `${directory}/`;
    const find = this.#index.inside(directory, inherited);
    return (name) => {
      const last = find(name);
      return this.#verdictOf(last) ?? this.#judge(below + name, last);
    };
  }

  /** By the number of the last rule that matches. */
  #judge(path: string, last: number): Verdict {
    return this.#verdictOf(last) ?? (this.#mayHold(path, last) ? "perhaps" : "excluded");
  }

  /** The same without the path, which need not be put together for it; undefined where later exceptions have a say. */
  #verdictOf(last: number): Verdict | undefined {
    const rule = this.#rules[last];
    if (rule === undefined || rule.isException) return "included";
    const hasExceptions = last < (this.#exceptions.at(-1)?.index ?? -1);
    return hasExceptions ? undefined : "excluded";
  }

  #mayHold(directory: string, last: number): boolean {
    return this.#exceptions.some(
      ({ index, test }) => index > last && mayMatchBelow(test, directory),
    );
  }

  #lastRule(path: string): number {
    if (path === "") return -1;
    const slash = path.lastIndexOf("/");
    const inherited = slash === -1 ? -1 : this.#lastOfDirectory(path.slice(0, slash));
    return this.#index.find(path, inherited);
  }

  #lastOfDirectory(path: string): number {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const last = this.#lastRule(path);
    this.#directories.set(path, last);
    return last;
  }
}

/** More of them are quicker looked up than compared one by one. */
const mostEnds = 8;

/** The end of a name that a rule takes by that alone; ASCII, which says the same in bytes. */
function plainEnd(test: PathTest): readonly string[] {
  return test.kind === "name-suffix" && isAscii(test.suffix) ? [test.suffix] : [];
}
