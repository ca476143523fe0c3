import { fromWords, stageNameOf } from "./written-words.ts";
import type { LintRule } from "../types.ts";

export const stageNameCasing: LintRule = {
  name: "StageNameCasing",
  description: "Names of stages are written in lower case",
  url: "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
  example: { bad: "FROM debian:12 AS Builder", good: "FROM debian:12 AS builder" },
  onParse(instruction, report) {
    if (instruction.keyword !== "FROM") return;
    const { stageName } = fromWords(instruction);
    if (stageName === undefined || stageName === stageName.toLowerCase()) return;
    const message = `Stage name '${stageName}' should be lowercase`;
    report({ at: instruction, message, word: stageNameOf(instruction) });
  },
};
