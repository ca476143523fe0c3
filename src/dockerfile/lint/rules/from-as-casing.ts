import { fromWords } from "./written-words.ts";
import type { LintRule } from "../types.ts";

export const fromAsCasing: LintRule = {
  name: "FromAsCasing",
  description: "FROM and AS are written in the same letter case",
  url: "https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
  example: { bad: "FROM debian:12 as builder", good: "FROM debian:12 AS builder" },
  onParse(instruction, report) {
    if (instruction.keyword !== "FROM") return;
    const { from, as } = fromWords(instruction);
    // A FROM in mixed case is the business of ConsistentInstructionCasing.
    if (as === undefined || as === inCaseOf(from, as)) return;
    const message = `'${as}' and '${from}' keywords' casing do not match`;
    report({ at: instruction, message, word: as });
  },
};

function inCaseOf(model: string, word: string): string {
  if (model === model.toLowerCase()) return word.toLowerCase();
  return model === model.toUpperCase() ? word.toUpperCase() : word;
}
