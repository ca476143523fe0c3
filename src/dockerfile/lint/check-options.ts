import type { SourceLocation } from "../../core/index.ts";
import { dockerfileError } from "../errors.ts";
import type { Comment } from "../types.ts";

/** Which rules are on. */
export interface CheckOptions {
  readonly skip: RuleSet;
  readonly experimental: RuleSet;
  /** A finding fails the build. */
  readonly error: boolean;
}

export type RuleSet = "all" | ReadonlySet<string>;

export const defaultCheckOptions: CheckOptions = {
  skip: new Set(),
  experimental: new Set(),
  error: false,
};

/** What strconv.ParseBool of Go takes. */
const booleans: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(["1", "t", "T", "true", "TRUE", "True"].map((text) => [text, true])),
  ...Object.fromEntries(["0", "f", "F", "false", "FALSE", "False"].map((text) => [text, false])),
};

/**
 * `skip=A,B;error=true;experimental=all`, as the check directive and BUILDKIT_DOCKERFILE_CHECK have it. `source` names
 * the one it comes from.
 * @throws DOCKERFILE_CHECK_INVALID
 */
export function parseCheckOptions(
  text: string,
  source: { readonly name: string; readonly location?: SourceLocation | undefined },
): CheckOptions {
  let options = defaultCheckOptions;
  if (text.trim() === "") return options;
  for (const part of splitParts(text.trim())) {
    const option = readOption(part);
    if (option === undefined) throw invalidOption(part, source);
    options = { ...options, ...option };
  }
  return options;
}

/** A directive, or a comment, ends at its first blank: what follows explains it. */
export function directiveValue(value: string): string {
  return value.split(" ", 1)[0] ?? "";
}

/**
 * The options that hold for one instruction: the first `check=` line of the comments above it adds to those of the
 * file. One that cannot be read changes nothing.
 */
export function withComments(
  options: CheckOptions,
  comments: readonly Comment[] | undefined,
): CheckOptions {
  for (const { text } of comments ?? []) {
    const value = /^check\s*=\s*(.+?)\s*$/i.exec(text)?.[1];
    if (value === undefined) continue;
    const own = tryParse(directiveValue(value));
    return own === undefined ? options : merge(options, own);
  }
  return options;
}

/** At most three parts: further semicolons belong to the third. */
function splitParts(text: string): readonly string[] {
  const parts = text.split(";");
  return parts.length <= 3 ? parts : [...parts.slice(0, 2), parts.slice(2).join(";")];
}

function readOption(part: string): Partial<CheckOptions> | undefined {
  const equals = part.indexOf("=");
  if (equals < 0) return undefined;
  const value = part.slice(equals + 1).trim();
  switch (part.slice(0, equals).trim()) {
    case "skip":
      return { skip: readRules(value) };
    case "experimental":
      return { experimental: readRules(value) };
    case "error":
      return Object.hasOwn(booleans, value) ? { error: booleans[value] === true } : undefined;
    default:
      return undefined;
  }
}

function readRules(value: string): RuleSet {
  return value === "all" ? "all" : new Set(value.split(",").map((name) => name.trim()));
}

function tryParse(text: string): CheckOptions | undefined {
  try {
    return parseCheckOptions(text, { name: "comment" });
  } catch {
    // A comment above an instruction may say anything, also something that only looks like options.
    return undefined;
  }
}

function merge(options: CheckOptions, own: CheckOptions): CheckOptions {
  return {
    skip: unite(options.skip, own.skip),
    experimental: unite(options.experimental, own.experimental),
    error: options.error,
  };
}

function unite(one: RuleSet, other: RuleSet): RuleSet {
  return one === "all" || other === "all" ? "all" : new Set([...one, ...other]);
}

function invalidOption(
  part: string,
  { name, location }: { readonly name: string; readonly location?: SourceLocation | undefined },
): Error {
  return dockerfileError(
    "DOCKERFILE_CHECK_INVALID",
    `failed to parse the ${name}: invalid check option ${JSON.stringify(part)}`,
    {
      hint: "write skip=RuleA,RuleB or skip=all, error=true, experimental=RuleC or experimental=all, with ; and no blank between them",
      location,
    },
  );
}
