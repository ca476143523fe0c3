import type { LintRule } from "../types.ts";

export const undefinedArgInFrom = {
  name: "UndefinedArgInFrom",
  description: "FROM uses only variables that an ARG before the first FROM declares",
  url: "https://docs.docker.com/go/dockerfile/rule/undefined-arg-in-from/",
  example: {
    bad: "FROM node:${NODE_VERSION}",
    good: "ARG NODE_VERSION=22\nFROM node:${NODE_VERSION}",
  },
  message: (name: string, meant: string | undefined) =>
    `FROM argument '${name}' is not declared${meant === undefined ? "" : ` (did you mean ${meant}?)`}`,
} satisfies LintRule & { readonly message: unknown };
