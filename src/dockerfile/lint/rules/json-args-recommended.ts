import type { LintRule } from "../types.ts";
import { writtenKeyword } from "./written-words.ts";

export const jsonArgsRecommended: LintRule = {
  name: "JSONArgsRecommended",
  description: "CMD and ENTRYPOINT are JSON arrays: behind a shell, programs do not get signals",
  url: "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
  example: { bad: "CMD node server.js", good: 'CMD ["node", "server.js"]' },
  onStep({ instruction, hasShell }, report) {
    const { keyword } = instruction;
    if (keyword !== "CMD" && keyword !== "ENTRYPOINT") return;
    if (instruction.command.form !== "shell" || hasShell) return;
    report({
      at: instruction,
      message: `JSON arguments recommended for ${writtenKeyword(instruction)} to prevent unintended behavior related to OS signals`,
    });
  },
};
