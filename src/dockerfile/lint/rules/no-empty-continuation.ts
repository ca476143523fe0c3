import type { LintRule } from "../types.ts";

export const noEmptyContinuation: LintRule = {
  name: "NoEmptyContinuation",
  description: "An instruction is not continued over a blank line",
  url: "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
  example: { bad: "RUN make \\\n\n    install", good: "RUN make \\\n    install" },
  onFile({ blankContinuations }, report) {
    for (const location of blankContinuations) {
      report({ at: { location }, message: "Empty continuation line" });
    }
  },
};
