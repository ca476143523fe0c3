import { dockerfileError } from "./errors.ts";

/**
 * The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?` only, no brackets. Neither matches a line feed. */
type Token =
  { readonly kind: "star" | "any" } | { readonly kind: "literal"; readonly text: string };

/** @throws DOCKERFILE_SUBSTITUTION for a backslash before anything else than `*`, `?`, `\`, `}` or `/` */
export function compilePattern(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  for (let index = 0; index < characters.length; index++) {
    let text = characters[index] ?? "";
    if (text === "*") tokens.push({ kind: "star" });
    else if (text === "?") tokens.push({ kind: "any" });
    else {
      if (text === "\\") text = escaped(pattern, characters[++index]);
      tokens.push({ kind: "literal", text });
    }
  }
  return tokens;
}

function escaped(pattern: string, character: string | undefined): string {
  if (character !== undefined && "*?\\}/".includes(character)) return character;
  throw dockerfileError(
    "DOCKERFILE_SUBSTITUTION",
    `invalid pattern (${pattern}) in substitution: invalid escape '\\${character ?? ""}'`,
    { hint: "only \\*, \\?, \\\\, \\} and \\/ are escapes in a pattern" },
  );
}

/**
 * For every start, where the longest (or shortest) match of the whole pattern ends; -1 where nothing matches. Walks
 * the text once from behind, so that no pattern takes more than text times pattern steps.
 */
export function matchEnds(
  tokens: readonly Token[],
  text: readonly string[],
  options: { readonly longest: boolean },
): Int32Array {
  const ends = new Int32Array(text.length + 1);
  // behind[j]: where the tokens from j on end when they start one character further.
  let behind = new Int32Array(tokens.length + 1).fill(-1);
  for (let start = text.length; start >= 0; start--) {
    const here = new Int32Array(tokens.length + 1).fill(-1);
    here[tokens.length] = start;
    for (let position = tokens.length - 1; position >= 0; position--) {
      here[position] = endOf(tokens, { text: text[start], position, here, behind, ...options });
    }
    ends[start] = here[0] ?? -1;
    behind = here;
  }
  return ends;
}

function endOf(
  tokens: readonly Token[],
  place: {
    readonly text: string | undefined;
    readonly position: number;
    readonly here: Int32Array;
    readonly behind: Int32Array;
    readonly longest: boolean;
  },
): number {
  const { text, position, here, behind, longest } = place;
  const token = tokens[position];
  const after = behind[position + 1] ?? -1;
  if (token?.kind === "literal") return token.text === text ? after : -1;
  const isWild = text !== undefined && text !== "\n";
  if (token?.kind !== "star") return isWild ? after : -1;
  const empty = here[position + 1] ?? -1;
  const more = isWild ? (behind[position] ?? -1) : -1;
  if (empty < 0 || more < 0) return Math.max(empty, more);
  return longest ? Math.max(empty, more) : Math.min(empty, more);
}

/** `${v#p}` and `${v##p}`. */
export function trimPrefix(value: string, pattern: string, longest: boolean): string {
  const text = [...value];
  const end = matchEnds(compilePattern(pattern), text, { longest })[0] ?? -1;
  return end < 0 ? value : text.slice(end).join("");
}

/** `${v%p}` and `${v%%p}`: the same, read from behind. */
export function trimSuffix(value: string, pattern: string, longest: boolean): string {
  const text = [...value].reverse();
  const tokens = [...compilePattern(pattern)].reverse();
  const end = matchEnds(tokens, text, { longest })[0] ?? -1;
  return end < 0 ? value : text.slice(end).reverse().join("");
}

/** Replaces the first match, or all; `*` is greedy, and an empty match inserts. */
export function replacePattern(
  value: string,
  options: { readonly pattern: string; readonly replacement: string; readonly all: boolean },
): string {
  const text = [...value];
  const ends = matchEnds(compilePattern(options.pattern), text, { longest: true });
  let result = "";
  let lastEnd = -1;
  for (let index = 0; index <= text.length;) {
    const end = ends[index] ?? -1;
    // An empty match right behind another match is none.
    const isMatch = end >= 0 && !(end === index && index === lastEnd);
    if (isMatch) {
      result += options.replacement;
      if (!options.all) return result + text.slice(end).join("");
      lastEnd = end;
    }
    if (isMatch && end > index) index = end;
    else result += text[index++] ?? "";
  }
  return result;
}
