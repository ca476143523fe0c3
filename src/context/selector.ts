import { type GlobToken, parseGlob } from "./glob-tokens.ts";
import { compilePattern } from "./ignore/compile-pattern.ts";
import { IgnoreRules } from "./ignore/ignore-rules.ts";
import { mayMatchBelow } from "./ignore/rule-index.ts";

/** A wildcard pattern over paths that are relative to where the wildcards begin. */
export interface Selector {
  /** Whether the whole pattern matches. */
  selects(path: string): boolean;
  /** Whether something below the directory `path` could match. */
  mayContain(path: string): boolean;
}

/**
 * Compiles the wildcard part of a source of `COPY --parents`: it speaks the language of ignore files, as the reference
 * builder takes it, so that `**.js` means any file of that ending.
 * @throws CONTEXT_PATTERN_INVALID
 */
export function openParentsSelector(pattern: string): Selector {
  const rule = { file: "--parents", line: 1, pattern, isException: false, path: pattern };
  const rules = new IgnoreRules([rule]);
  const test = compilePattern(pattern);
  return {
    selects: (path) => rules.match(path) !== undefined,
    mayContain: (path) => mayMatchBelow(test, path),
  };
}

/**
 * Compiles the wildcard part of a source of COPY: Go's path.Match for each component. minimatch does the matching; everything of its dialect that Go does not have is switched off or escaped.
 * It is loaded here because most builds have no wildcard.
 * @throws CONTEXT_PATTERN_INVALID
 */
export async function openSelector(pattern: string): Promise<Selector> {
  const fold = astralFolder();
  const translated = pattern.split("/").map(translate).join("/");
  const { Minimatch } = await import("minimatch");
  const matcher = new Minimatch(fold(translated), {
    dot: true,
    nobrace: true,
    nocomment: true,
    noext: true,
    noglobstar: true,
    nonegate: true,
    platform: "linux",
  });
  return {
    selects: (path) => matcher.match(fold(path)),
    mayContain: (path) => matcher.match(fold(path), true),
  };
}

/** Says the same in minimatch's words: `[!a]` and `[[:alpha:]]` are plain members in Go. */
function translate(component: string): string {
  return parseGlob(component, { globstar: false }).map(wordOf).join("");
}

function wordOf(token: GlobToken): string {
  switch (token.kind) {
    case "literal":
      return token.text.replaceAll(/[*?[\]\\]/g, String.raw`\$&`);
    case "any":
      return "?";
    case "star":
    case "globstar":
      return "*";
    case "class": {
      const members = token.ranges.map(([low, high]) =>
        low === high ? escapeMember(low) : `${escapeMember(low)}-${escapeMember(high)}`,
      );
      return `[${token.negated ? "^" : ""}${members.join("")}]`;
    }
  }
}

function escapeMember(character: string): string {
  return /^[^\w\u0080-\u{10ffff}]$/u.test(character) ? `\\${character}` : character;
}

/**
 * minimatch counts UTF-16 units where Go counts characters, so each character of two units is told to it as one unit
 * that stands in no text: a lone high surrogate. (Ranges of such characters are beyond this.)
 */
function astralFolder(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) =>
    text.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, (character) => {
      const stand = known.get(character) ?? String.fromCharCode(0xd800 + (known.size % 0x400));
      known.set(character, stand);
      return stand;
    });
}
