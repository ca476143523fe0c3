import { dockerfileError } from "./errors.ts";

/**
 * The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?` only, no brackets. Matching walks the text once with
 * the set of reachable pattern positions, so that no pattern can take exponential time.
 */
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
    `read the pattern ${JSON.stringify(pattern)}: a backslash before ${JSON.stringify(character ?? "the end")} means nothing here`,
    { hint: "only \\*, \\?, \\\\, \\} and \\/ are escapes in a pattern" },
  );
}

/** How many characters at `start` the whole pattern matches; undefined when it does not. */
export function matchLength(
  tokens: readonly Token[],
  text: readonly string[],
  options: { readonly start: number; readonly longest: boolean },
): number | undefined {
  let reachable = closure(tokens, new Set([0]));
  let found = reachable.has(tokens.length) ? 0 : undefined;
  for (let index = options.start; index < text.length && reachable.size > 0; index++) {
    if (found !== undefined && !options.longest) break;
    reachable = closure(tokens, step(tokens, reachable, text[index] ?? ""));
    if (reachable.has(tokens.length)) found = index + 1 - options.start;
  }
  return found;
}

function step(
  tokens: readonly Token[],
  positions: ReadonlySet<number>,
  character: string,
): Set<number> {
  const next = new Set<number>();
  for (const position of positions) {
    const token = tokens[position];
    if (token === undefined) continue;
    if (token.kind === "literal") {
      if (token.text === character) next.add(position + 1);
    } else if (character !== "\n") next.add(token.kind === "star" ? position : position + 1);
  }
  return next;
}

/** A star may also match nothing. */
function closure(tokens: readonly Token[], positions: Set<number>): Set<number> {
  for (const position of positions) {
    if (tokens[position]?.kind === "star") positions.add(position + 1);
  }
  return positions;
}

export function trimPrefix(value: string, pattern: string, longest: boolean): string {
  const text = [...value];
  const length = matchLength(compilePattern(pattern), text, { start: 0, longest });
  return length === undefined ? value : text.slice(length).join("");
}

export function trimSuffix(value: string, pattern: string, longest: boolean): string {
  const text = [...value].reverse();
  const length = matchLength([...compilePattern(pattern)].reverse(), text, { start: 0, longest });
  return length === undefined ? value : text.slice(length).reverse().join("");
}

/** Replaces the first match, or all; `*` is greedy, and an empty match inserts. */
export function replacePattern(
  value: string,
  options: { readonly pattern: string; readonly replacement: string; readonly all: boolean },
): string {
  const tokens = compilePattern(options.pattern);
  const text = [...value];
  let result = "";
  let index = 0;
  let justMatched = false;
  while (index <= text.length) {
    const length = matchLength(tokens, text, { start: index, longest: true });
    if (length !== undefined && !(length === 0 && justMatched)) {
      result += options.replacement;
      index += length;
      if (!options.all) return result + text.slice(index).join("");
      justMatched = true;
      if (length > 0) continue;
    }
    result += text[index] ?? "";
    index++;
    justMatched = false;
  }
  return result;
}
