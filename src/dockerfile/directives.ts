import type { SourceLocation } from "../core/index.ts";
import { trimSpace, trimStart, type EscapeCharacter } from "./characters.ts";
import { dockerfileError } from "./errors.ts";
import { locateLine, trimLineEnd } from "./lines.ts";
import type { Directives } from "./types.ts";

const directivePattern = /^([a-zA-Z][a-zA-Z0-9]*)[\t\f\r ]*=[\t\f\r ]*(\S.*)$/s;

type DirectiveName = "escape" | "syntax" | "check";

interface FoundDirective {
  readonly value: string;
  readonly location: SourceLocation;
}

type FoundDirectives = ReadonlyMap<DirectiveName, FoundDirective>;

export interface ReadDirectives {
  readonly directives: Directives;
  /** Lines at the head of the file that the parser takes for directives, so that they are no comments. */
  readonly lineCount: number;
}

/**
 * Parser directives at the head of the file: `escape`, `syntax`, `check`. The first line that is no known directive
 * ends them for good. A `#!` first line is skipped for `syntax` and `check`, but ends the search for `escape`.
 * @throws DOCKERFILE_DIRECTIVE when one is repeated, or when escape is neither backslash nor backtick
 */
export function readDirectives(lines: readonly string[], file: string): ReadDirectives {
  const own = scan(lines, { file, prefix: "#", first: 0, indented: true, strict: true });
  const first = lines[0]?.startsWith("#!") ? 1 : 0;
  const head = scan(lines, { file, prefix: "#", first, indented: false, strict: false });
  const syntax = head.get("syntax") ?? foreignSyntax(lines, file, first);
  const check = head.get("check");
  return {
    directives: {
      escape: escapeOf(own.get("escape")),
      ...(syntax === undefined ? {} : { syntax: syntax.value, syntaxLocation: syntax.location }),
      ...(check === undefined ? {} : { check: check.value, checkLocation: check.location }),
    },
    lineCount: own.size,
  };
}

function scan(
  lines: readonly string[],
  options: {
    readonly file: string;
    readonly prefix: string;
    readonly first: number;
    readonly indented: boolean;
    /** A repetition is an error; otherwise it ends the search. */
    readonly strict: boolean;
  },
): FoundDirectives {
  const found = new Map<DirectiveName, FoundDirective>();
  for (let index = options.first; index < lines.length; index++) {
    const line = trimLineEnd(lines[index] ?? "");
    const text = options.indented ? trimStart(line) : line;
    if (!text.startsWith(options.prefix)) break;
    const match = directivePattern.exec(trimSpace(text.slice(options.prefix.length)));
    const name = match?.[1]?.toLowerCase();
    if (name !== "escape" && name !== "syntax" && name !== "check") break;
    const location = locateLine(options.file, lines, index);
    if (found.has(name)) {
      if (options.strict) throw repeated(name, location);
      break;
    }
    found.set(name, { value: match?.[2] ?? "", location });
  }
  return found;
}

/** `// syntax=…`, or a whole file that is a JSON object with a `syntax` member. */
function foreignSyntax(
  lines: readonly string[],
  file: string,
  first: number,
): FoundDirective | undefined {
  const options = { file, prefix: "//", first, indented: false, strict: false };
  const slashes = scan(lines, options).get("syntax");
  const start = lines.findIndex((line, index) => index >= first && line.trim() !== "");
  if (slashes !== undefined || !lines[start]?.trimStart().startsWith("{")) return slashes;
  try {
    const document: unknown = JSON.parse(lines.slice(start).join("\n"));
    if (typeof document !== "object" || document === null || !("syntax" in document))
      return undefined;
    if (typeof document.syntax !== "string") return undefined;
    return { value: document.syntax, location: locateLine(file, lines, start) };
  } catch {
    // Not JSON at all: then it is an ordinary Dockerfile, whose errors are told by the parser proper.
    return undefined;
  }
}

function escapeOf(found: FoundDirective | undefined): EscapeCharacter {
  const value = found?.value ?? "\\";
  if (value === "\\" || value === "`") return value;
  throw dockerfileError(
    "DOCKERFILE_DIRECTIVE",
    `invalid escape token '${value}' does not match \` or \\`,
    {
      hint: "the escape character is either a backslash or a backtick",
      location: found?.location,
    },
  );
}

function repeated(name: DirectiveName, location: SourceLocation): Error {
  return dockerfileError("DOCKERFILE_DIRECTIVE", `only one ${name} parser directive can be used`, {
    hint: `keep one "# ${name}=…" line`,
    location,
  });
}
