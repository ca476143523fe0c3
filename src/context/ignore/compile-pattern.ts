import { unreachable } from "../../core/index.ts";
import { parseGlob, type GlobClass, type GlobToken } from "../glob-tokens.ts";

/**
 * What a pattern of an ignore file tests, in the cheapest form that says it. Paths are text without leading slash.
 */
export type PathTest =
  | { readonly kind: "all" }
  | { readonly kind: "exact"; readonly path: string }
  /** `dir/**`: everything below `directory`, not the directory itself. */
  | { readonly kind: "below"; readonly directory: string }
  /** `abc**`. */
  | { readonly kind: "prefix"; readonly prefix: string }
  /** `**abc` and `**`+`/abc`: a plain test of the path's end; a leading slash may also be the path's begin. */
  | { readonly kind: "suffix"; readonly suffix: string }
  /** `**`+`/*.ext`: a test of the base name's end. */
  | { readonly kind: "name-suffix"; readonly suffix: string }
  /** `**`+`/a*b?`: a test of the base name alone. */
  | { readonly kind: "name"; readonly expression: RegExp }
  | ExpressionTest;

export interface ExpressionTest {
  readonly kind: "expression";
  readonly expression: RegExp;
  /** Expressions of the leading components, as far as each component is matched by itself. */
  readonly leading: readonly RegExp[];
  /** Number of components of every path that matches; undefined when that is not fixed. */
  readonly depth: number | undefined;
  /** First and last component of every path that matches, where the pattern says them plainly. */
  readonly first: string | undefined;
  readonly last: string | undefined;
}

/**
 * Compiles one cleaned pattern in the manner of moby/patternmatcher: `**` is any number of components, a trailing `**`
 * everything below, a leading one without another wildcard a test of the path's end, and `[^x]` also takes a slash.
 * @throws CONTEXT_PATTERN_INVALID
 */
export function compilePattern(pattern: string): PathTest {
  const tokens = parseGlob(pattern, { globstar: true });
  const [first, second, third] = tokens;
  if (first === undefined) return { kind: "exact", path: "" };
  if (first.kind === "globstar") {
    if (second === undefined) return { kind: "all" };
    if (isPlain(second) && third === undefined)
      return { kind: "suffix", suffix: pattern.slice("**".length) };
    const rest = tokens.slice(1);
    if (second.kind === "star" && isPlain(third) && rest.length === 2 && !third.text.includes("/"))
      return { kind: "name-suffix", suffix: third.text };
    if (!rest.some(crossesSlash) && splitComponents(rest).length === 1)
      return { kind: "name", expression: expressionOf(rest) };
  }
  if (tokens.every((token) => token.kind === "literal"))
    return { kind: "exact", path: tokens.map((token) => token.text).join("") };
  if (isPlain(first) && second?.kind === "globstar" && third === undefined) {
    return first.text.endsWith("/")
      ? { kind: "below", directory: first.text.slice(0, -1) }
      : { kind: "prefix", prefix: first.text };
  }
  return compileExpression(tokens);
}

function isPlain(token: GlobToken | undefined): token is GlobToken & { kind: "literal" } {
  return token?.kind === "literal" && !token.escaped;
}

function compileExpression(tokens: readonly GlobToken[]): ExpressionTest {
  const components = splitComponents(tokens);
  const open = components.findIndex((component) => component.some(crossesSlash));
  const alone = open === -1 ? components : components.slice(0, open);
  return {
    kind: "expression",
    expression: expressionOf(tokens),
    leading: alone.map(expressionOf),
    depth: open === -1 ? components.length : undefined,
    first: components.length > 1 && open !== 0 ? plainText(components[0] ?? []) : undefined,
    last: lastComponent(tokens),
  };
}

/** undefined when there are wildcards. */
function plainText(tokens: readonly GlobToken[]): string | undefined {
  const texts = tokens.map((token) => (token.kind === "literal" ? token.text : undefined));
  return texts.includes(undefined) ? undefined : texts.join("");
}

function lastComponent(tokens: readonly GlobToken[]): string | undefined {
  const cut = tokens.findLastIndex((token) => token.kind !== "literal");
  const tail = plainText(tokens.slice(cut + 1)) ?? "";
  const slash = tail.lastIndexOf("/");
  if (slash !== -1) return tail.slice(slash + 1);
  // `a/**b` ends in a component `b`, `a**b` may end in `ab`.
  const before = tokens[cut - 1];
  const isWhole = before === undefined || (before.kind === "literal" && before.text.endsWith("/"));
  return tokens[cut]?.kind === "globstar" && isWhole && tail !== "" ? tail : undefined;
}

function splitComponents(tokens: readonly GlobToken[]): GlobToken[][] {
  const components: GlobToken[][] = [[]];
  for (const token of tokens) {
    if (token.kind !== "literal") components.at(-1)?.push(token);
    else {
      const [first = "", ...rest] = token.text.split("/");
      components.at(-1)?.push({ ...token, text: first });
      for (const text of rest) components.push([{ ...token, text }]);
    }
  }
  return components;
}

function crossesSlash(token: GlobToken): boolean {
  return (
    token.kind === "globstar" ||
    (token.kind === "class" &&
      (token.negated || token.ranges.some(([low, high]) => low <= "/" && high >= "/")))
  );
}

/** `s`: a name may hold a line break; `u`: `?` is one character, however many UTF-16 units it has. */
function expressionOf(tokens: readonly GlobToken[]): RegExp {
  const source = tokens.map((token, index) => sourceOf(token, index === tokens.length - 1));
  return new RegExp(`^${source.join("")}$`, "su");
}

function sourceOf(token: GlobToken, last: boolean): string {
  switch (token.kind) {
    case "literal":
      return escapeLiteral(token.text);
    case "star":
      return "[^/]*";
    case "any":
      return "[^/]";
    case "globstar":
      return last ? ".*" : "(?:.*/)?";
    case "class":
      return classSource(token);
    default:
      return unreachable(token);
  }
}

function classSource(token: GlobClass): string {
  // A range that runs backwards matches nothing in Go; JavaScript would refuse it.
  const ranges = token.ranges.filter(([low, high]) => codePoint(low) <= codePoint(high));
  const members = ranges.map(([low, high]) => `${unicodeEscape(low)}-${unicodeEscape(high)}`);
  return `[${token.negated ? "^" : ""}${members.join("")}]`;
}

function unicodeEscape(character: string): string {
  return `\\u{${codePoint(character).toString(16)}}`;
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function escapeLiteral(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}/]/g, String.raw`\$&`);
}
