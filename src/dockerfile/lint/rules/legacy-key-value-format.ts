import type { LintRule } from "../types.ts";
import { writtenKeyword } from "./written-words.ts";

export const legacyKeyValueFormat: LintRule = {
  name: "LegacyKeyValueFormat",
  description: "ENV and LABEL have an equals sign between key and value",
  url: "https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/",
  example: { bad: "ENV MODE production", good: "ENV MODE=production" },
  onStep({ instruction }, report) {
    if (instruction.keyword !== "ENV" && instruction.keyword !== "LABEL") return;
    if (!instruction.legacy) return;
    const name = writtenKeyword(instruction);
    report({
      at: instruction,
      message: `"${name} key=value" should be used instead of legacy "${name} key value" format`,
    });
  },
};
