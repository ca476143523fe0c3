import type { LintRule } from "../types.ts";
import { commandFormOf } from "./shell-commands.ts";

function isSingleQuotedArray(text: string): boolean {
  return text.startsWith("[") && /^\[\s*'[^']*'(?:\s*,\s*'[^']*')*\s*,?\s*\]$/.test(text);
}

export const singleQuotedJson: LintRule = {
  name: "Tsbuild/SingleQuotedJson",
  description: "JSON has double quotes: an array in single quotes runs as a shell command",
  example: { bad: "CMD ['node', 'server.js']", good: 'CMD ["node", "server.js"]' },
  onStep({ instruction }, report) {
    const command = commandFormOf(instruction);
    if (command?.form !== "shell" || !isSingleQuotedArray(command.command.trim())) return;
    const { keyword } = instruction;
    report({
      at: instruction,
      word: command.command,
      message: `${keyword} ${command.command} is not JSON and will be run as a shell command`,
      hint: `use double quotes: ${keyword} ${command.command.replaceAll("'", '"')}`,
    });
  },
};
