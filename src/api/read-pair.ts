import { usageError } from "./errors.ts";

/** `key=value`, the key not empty; `what` it is, for the error. @throws USAGE */
export function readPair(
  text: string,
  what: "annotation" | "label" | "variable",
): readonly [string, string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw usageError(`read ${what} ${JSON.stringify(text)}`, "write key=value");
}
