import type { LintRule } from "../types.ts";
import { stageNameOf } from "./written-words.ts";

export const reservedStageName: LintRule = {
  name: "ReservedStageName",
  description: "No stage is called scratch or context, which mean something else already",
  url: "https://docs.docker.com/go/dockerfile/rule/reserved-stage-name/",
  example: { bad: "FROM debian:12 AS context", good: "FROM debian:12 AS sources" },
  onFile({ stages }, report) {
    for (const { name, from } of stages) {
      if (name !== "scratch" && name !== "context") continue;
      const message = `Stage name should not use the same name as reserved stage "${name}"`;
      report({ at: from, message, word: stageNameOf(from) });
    }
  },
};
