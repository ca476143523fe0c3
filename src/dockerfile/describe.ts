import type { Comment } from "./types.ts";

/**
 * What the comments above a FROM or an ARG say about the stage or the variable: the rest of the first line that begins
 * with its name and a blank. Undefined when there is none.
 */
export function describeName(
  name: string,
  comments: readonly Comment[] | undefined,
): string | undefined {
  const line = comments?.find(({ text }) => text.startsWith(`${name} `));
  return line?.text.slice(name.length + 1);
}
