import type { Instruction } from "../../types.ts";
import type { LintRule } from "../types.ts";

export const invalidDefinitionDescription: LintRule = {
  name: "InvalidDefinitionDescription",
  description:
    "A comment right above FROM or ARG begins with the name that it describes; a bare # line keeps other comments apart",
  url: "https://docs.docker.com/go/dockerfile/rule/invalid-definition-description/",
  experimental: true,
  example: {
    bad: "# The version to install.\nARG VERSION=1",
    good: "# VERSION is the version to install.\nARG VERSION=1",
  },
  onParse(instruction, report) {
    const names = namesOf(instruction);
    const [first, ...others] = names;
    const comment = instruction.comments?.at(-1);
    if (first === undefined || comment === undefined) return;
    if (names.includes(comment.text.split(" ", 1)[0] ?? "")) return;
    const name = others.length === 0 ? first : "<arg_key>";
    report({
      at: instruction,
      message: `Comment for ${instruction.keyword} should follow the format: \`# ${name} <description>\``,
    });
  },
};

function namesOf(instruction: Instruction): readonly string[] {
  if (instruction.keyword === "ARG") return instruction.args.map(({ name }) => name);
  if (instruction.keyword !== "FROM" || instruction.stageName === undefined) return [];
  return [instruction.stageName];
}
