import { contextError } from "./errors.ts";

/** One piece of a wildcard pattern, as Go's path.Match reads it; `globstar` is a `**` and exists only when asked for. */
export type GlobToken =
  | { readonly kind: "literal"; readonly text: string; readonly escaped: boolean }
  | { readonly kind: "star" }
  | { readonly kind: "any" }
  | { readonly kind: "globstar" }
  | GlobClass;

export interface GlobClass {
  readonly kind: "class";
  readonly negated: boolean;
  /** First and last character, both included. */
  readonly ranges: readonly (readonly [string, string])[];
}

/**
 * Reads a pattern: `*`, `?`, `[a-c]`, `[^x]`, and a backslash before a literal character. `**` is two stars unless
 * `globstar`, which also takes the slash behind it. Neighbouring literals are joined unless one was escaped.
 * @throws CONTEXT_PATTERN_INVALID for an open, empty or misplaced bracket expression and for a backslash at the end
 */
export function parseGlob(
  pattern: string,
  options: { readonly globstar: boolean },
): readonly GlobToken[] {
  const characters = [...pattern];
  const tokens: GlobToken[] = [];
  let literal = "";
  const push = (token: GlobToken): void => {
    if (literal !== "") tokens.push({ kind: "literal", text: literal, escaped: false });
    literal = "";
    tokens.push(token);
  };
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? "";
    if (character === "*" && options.globstar && characters[index + 1] === "*") {
      index += characters[index + 2] === "/" ? 2 : 1;
      push({ kind: "globstar" });
    } else if (character === "*") push({ kind: "star" });
    else if (character === "?") push({ kind: "any" });
    else if (character === "\\") {
      const text = characters[++index];
      if (text === undefined) throw invalid(pattern, "it ends with a backslash");
      push({ kind: "literal", text, escaped: true });
    } else if (character === "[") {
      const found = parseClass(characters, { start: index + 1, pattern });
      push(found.token);
      index = found.end;
    } else literal += character;
  }
  if (literal !== "") tokens.push({ kind: "literal", text: literal, escaped: false });
  return tokens;
}

/** Whether an unescaped wildcard stands in the pattern. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern.replaceAll(/\\./gs, ""));
}

function parseClass(
  characters: readonly string[],
  place: { readonly start: number; readonly pattern: string },
): { readonly token: GlobClass; readonly end: number } {
  const { pattern } = place;
  let index = place.start;
  const negated = characters[index] === "^";
  if (negated) index++;
  const ranges: [string, string][] = [];
  const member = (): string => {
    let character = characters[index++];
    if (character === "-" || character === "]")
      throw invalid(pattern, `an unescaped ${character} stands where a character must be`);
    if (character === "\\") character = characters[index++];
    if (character === undefined) throw invalid(pattern, "a bracket is not closed");
    return character;
  };
  while (characters[index] !== "]" || ranges.length === 0) {
    const low = member();
    if (characters[index] !== "-") ranges.push([low, low]);
    else {
      index++;
      ranges.push([low, member()]);
    }
  }
  return { token: { kind: "class", negated, ranges }, end: index };
}

function invalid(pattern: string, why: string): Error {
  return contextError(
    "CONTEXT_PATTERN_INVALID",
    `read pattern ${JSON.stringify(pattern)}: ${why}`,
    {
      hint: "write a backslash before a *, ?, [ or \\ that is meant literally",
      details: { pattern },
    },
  );
}
