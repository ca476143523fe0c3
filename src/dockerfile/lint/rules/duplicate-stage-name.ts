import type { LintRule } from "../types.ts";
import { stageNameOf } from "./written-words.ts";

export const duplicateStageName: LintRule = {
  name: "DuplicateStageName",
  description: "Every stage has a name of its own",
  url: "https://docs.docker.com/go/dockerfile/rule/duplicate-stage-name/",
  example: {
    bad: "FROM debian:12 AS base\nFROM debian:12 AS base",
    good: "FROM debian:12 AS base\nFROM debian:12 AS tools",
  },
  onFile({ stages }, report) {
    const seen = new Set<string>();
    for (const { name, from } of stages) {
      if (name === undefined) continue;
      if (seen.has(name)) {
        const message = `Duplicate stage name "${name}", stage names should be unique`;
        report({ at: from, message, word: stageNameOf(from) });
      }
      seen.add(name);
    }
  },
};
