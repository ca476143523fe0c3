import type { LintRule } from "../types.ts";
import { commandsOf } from "./shell-commands.ts";

/** By first word: what to write instead. */
const instead: Readonly<Record<string, string>> = {
  cd: "use WORKDIR, or put the commands that need the directory behind it with &&",
  pushd: "use WORKDIR, or put the commands that need the directory behind it with &&",
  export: "use ENV, or put the commands that need the variable behind it with &&",
  alias: "write the command out where it is needed",
};

export const shellStateLost: LintRule = {
  name: "Tsbuild/ShellStateLost",
  description:
    "A RUN does not end with cd or export: its shell ends there, and the next RUN starts anew",
  example: { bad: "RUN cd /app\nRUN npm ci", good: "WORKDIR /app\nRUN npm ci" },
  onStep({ instruction }, report) {
    if (instruction.keyword !== "RUN") return;
    const word = commandsOf(instruction).at(-1)?.words[0] ?? "";
    if (!Object.hasOwn(instead, word)) return;
    report({
      at: instruction,
      message: `The ${word} at the end of this RUN has no effect on what follows`,
      hint: instead[word] ?? "",
    });
  },
};
