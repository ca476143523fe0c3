import type { Dockerfile, Instruction } from "../../types.ts";
import type { LintRule } from "../types.ts";
import { writtenKeyword } from "./written-words.ts";

export const consistentInstructionCasing: LintRule = {
  name: "ConsistentInstructionCasing",
  description: "All instructions are written in upper case, or all in lower case",
  url: "https://docs.docker.com/go/dockerfile/rule/consistent-instruction-casing/",
  example: { bad: "FROM debian:12\nrun make", good: "FROM debian:12\nRUN make" },
  onFile(dockerfile, report) {
    const instructions = instructionsOf(dockerfile);
    const isLower = lowerCaseWins(instructions.map(writtenKeyword));
    for (const instruction of instructions) {
      const written = writtenKeyword(instruction);
      const right = isLower ? written.toLowerCase() : written.toUpperCase();
      if (written === right) continue;
      const wanted = isLower ? "lowercase" : "uppercase";
      report({
        at: instruction,
        word: written,
        message: `Command '${written}' should match the case of the command majority (${wanted})`,
      });
    }
  },
};

/** ARGs before the first FROM have no say and are not looked at, as in the reference frontend. */
function instructionsOf({ stages }: Dockerfile): readonly Instruction[] {
  return stages.flatMap(({ from, instructions }) => [from, ...instructions]);
}

function lowerCaseWins(keywords: readonly string[]): boolean {
  const lower = keywords.filter((word) => word === word.toLowerCase()).length;
  const upper = keywords.filter((word) => word === word.toUpperCase()).length;
  return lower > upper;
}
