import type { LintRule } from "../types.ts";
import { commandsOf } from "./shell-commands.ts";

export const updateAlone: LintRule = {
  name: "Tsbuild/UpdateAlone",
  description: "apt-get update stands in the RUN that installs: alone, it is cached and gets old",
  example: {
    bad: "RUN apt-get update\nRUN apt-get install -y curl",
    good: "RUN apt-get update && apt-get install -y curl",
  },
  onStep({ instruction }, report) {
    if (instruction.keyword !== "RUN" || instruction.mounts.length > 0) return;
    const [command, ...others] = commandsOf(instruction);
    const [program = "", ...words] = command?.words ?? [];
    if (others.length > 0 || !/^apt(?:-get)?$/.test(program) || !words.includes("update")) return;
    report({
      at: instruction,
      message: `${program} update alone in a RUN leaves package lists that get old in the cache`,
      hint: `join it with what needs it: RUN ${program} update && ${program} install -y …`,
    });
  },
};
