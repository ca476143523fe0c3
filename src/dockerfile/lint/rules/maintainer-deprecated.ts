import type { LintRule } from "../types.ts";

export const maintainerDeprecated: LintRule = {
  name: "MaintainerDeprecated",
  description: "The author of an image is told by a label, not by MAINTAINER",
  url: "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
  example: {
    bad: "MAINTAINER me@example.com",
    good: 'LABEL org.opencontainers.image.authors="me@example.com"',
  },
  onParse(instruction, report) {
    if (instruction.keyword !== "MAINTAINER") return;
    const message = "Maintainer instruction is deprecated in favor of using label";
    report({ at: instruction, message });
  },
};
