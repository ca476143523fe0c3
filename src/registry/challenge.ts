/** What a registry asks for in a `WWW-Authenticate` header. Scheme and parameter names are in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string | undefined>>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameterPattern = new RegExp(
  `\\s*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]*))\\s*(?:,|$)`,
  "y",
);
const schemePattern = new RegExp(`\\s*(${token})(?=\\s|,|$)[ \\t]*(?:,|)`, "y");

/**
 * Reads challenges in order; one header may hold several, and a quoted value may hold commas. What cannot be read
 * ends the list.
 * @see RFC 9110, section 11.6.1
 */
export function parseChallenges(headers: readonly string[]): readonly Challenge[] {
  return headers.flatMap(parseHeader);
}

function parseHeader(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string | undefined> }[] = [];
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(header) ?? undefined;
    if (match !== undefined && match[0] !== "") position = pattern.lastIndex;
    return match;
  };
  while (position < header.length) {
    const current = challenges.at(-1);
    const parameter = current === undefined ? undefined : take(parameterPattern);
    if (current !== undefined && parameter !== undefined) {
      const [, name = "", quoted, bare] = parameter;
      current.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "";
      continue;
    }
    const scheme = take(schemePattern)?.[1];
    if (scheme === undefined) break;
    challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
  }
  return challenges;
}
