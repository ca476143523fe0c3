import type { LintRule } from "../types.ts";

export const noEmptyContinuation = {
  name: "NoEmptyContinuation",
  description: "An instruction is not continued over a blank line",
  url: "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
  example: { bad: "RUN make \\\n\n    install", good: "RUN make \\\n    install" },
  message: "Empty continuation line",
} satisfies LintRule & { readonly message: unknown };
