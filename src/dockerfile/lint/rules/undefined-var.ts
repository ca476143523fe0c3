import type { LintRule } from "../types.ts";

export const undefinedVar = {
  name: "UndefinedVar",
  description: "A variable is set by ARG or ENV, or declared, before it is used",
  url: "https://docs.docker.com/go/dockerfile/rule/undefined-var/",
  example: { bad: "COPY $SOURCE /app", good: "ARG SOURCE=src\nCOPY $SOURCE /app" },
  message: (name: string, meant: string | undefined) =>
    `Usage of undefined variable '$${name}'${meant === undefined ? "" : ` (did you mean $${meant}?)`}`,
} satisfies LintRule & { readonly message: unknown };
