import type { Dockerfile } from "../../src/dockerfile/index.ts";

/** What a Dockerfile means, for comparisons: without places and without the way in which it is written. */
export function syntaxOnly({ directives, globalArgs, stages }: Dockerfile): unknown {
  return JSON.parse(
    JSON.stringify({ directives, globalArgs, stages }, (key, member: unknown) =>
      /^(?:original|\w*location)$/i.test(key) ? undefined : member,
    ),
  );
}
