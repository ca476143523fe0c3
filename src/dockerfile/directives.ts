import { trimStart, type EscapeCharacter } from "./characters.ts";
import { dockerfileError } from "./errors.ts";
import { locateLine, trimLineEnd } from "./lines.ts";
import type { Directives } from "./types.ts";

const directivePattern = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;

type DirectiveName = keyof Directives;

/**
 * Parser directives at the head of the file: `escape`, `syntax`, `check`. The first line that is no known directive
 * ends them for good. A `#!` first line is skipped for `syntax` and `check`, but ends the search for `escape`.
 * @throws DOCKERFILE_DIRECTIVE when one is repeated, or when escape is neither backslash nor backtick
 */
export function readDirectives(lines: readonly string[], file: string): Directives {
  const own = scan(lines, { file, prefix: "#", first: 0, indented: true });
  const isScript = lines[0]?.startsWith("#!") ?? false;
  const head = scan(lines, { file, prefix: "#", first: isScript ? 1 : 0, indented: false });
  const syntax = head.get("syntax") ?? foreignSyntax(lines, file, isScript ? 1 : 0);
  const check = head.get("check");
  return {
    escape: own.has("escape") ? escapeOf(own.get("escape") ?? "", lines, file) : "\\",
    ...(syntax === undefined ? {} : { syntax }),
    ...(check === undefined ? {} : { check }),
  };
}

function scan(
  lines: readonly string[],
  options: {
    readonly file: string;
    readonly prefix: string;
    readonly first: number;
    readonly indented: boolean;
  },
): Map<DirectiveName, string> {
  const found = new Map<DirectiveName, string>();
  for (let index = options.first; index < lines.length; index++) {
    const line = trimLineEnd(lines[index] ?? "");
    const text = options.indented ? trimStart(line) : line;
    if (!text.startsWith(options.prefix)) break;
    const match = directivePattern.exec(trimStart(text.slice(options.prefix.length)));
    const name = match?.[1]?.toLowerCase();
    if (name !== "escape" && name !== "syntax" && name !== "check") break;
    if (found.has(name)) throw repeated(name, locateLine(options.file, lines, index));
    found.set(name, match?.[2] ?? "");
  }
  return found;
}

/** `// syntax=…`, or a whole file that is a JSON object with a `syntax` member. */
function foreignSyntax(lines: readonly string[], file: string, first: number): string | undefined {
  const slashes = scan(lines, { file, prefix: "//", first, indented: false }).get("syntax");
  if (slashes !== undefined || !lines[0]?.trimStart().startsWith("{")) return slashes;
  try {
    const document: unknown = JSON.parse(lines.join("\n"));
    if (typeof document !== "object" || document === null || !("syntax" in document))
      return undefined;
    return typeof document.syntax === "string" ? document.syntax : undefined;
  } catch {
    // Not JSON at all: then it is an ordinary Dockerfile, whose errors are told by the parser proper.
    return undefined;
  }
}

function escapeOf(value: string, lines: readonly string[], file: string): EscapeCharacter {
  if (value === "\\" || value === "`") return value;
  const index = lines.findIndex((line) => /^\s*#\s*escape\s*=/i.test(line));
  throw dockerfileError("DOCKERFILE_DIRECTIVE", `read the directive escape=${value}`, {
    hint: "the escape character is either a backslash or a backtick",
    location: locateLine(file, lines, index),
  });
}

function repeated(name: string, location: ReturnType<typeof locateLine>): Error {
  return dockerfileError("DOCKERFILE_DIRECTIVE", `read the directive ${name} a second time`, {
    hint: `keep one "# ${name}=…" line`,
    location,
  });
}
