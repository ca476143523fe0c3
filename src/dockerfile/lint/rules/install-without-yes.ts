import type { Dockerfile } from "../../types.ts";
import type { LintRule } from "../types.ts";
import { commandsOf, type ShellCommand } from "./shell-commands.ts";

const managers = new Set(["apt", "apt-get", "dnf", "microdnf", "yum", "zypper"]);
/** Answers the question, or makes that none is asked. */
const answer =
  /^(?:-[a-z]*y[a-z]*|-qq|-n|-s|--yes|--assume-?yes|--non-interactive|--no-confirm|--dry-run|--simulate|--help|\$.*)$/i;

export const installWithoutYes: LintRule = {
  name: "Tsbuild/InstallWithoutYes",
  description:
    "Package managers are told to go on without asking: in a build there is nobody to answer",
  example: { bad: "RUN apt-get install curl", good: "RUN apt-get install -y curl" },
  onFile(dockerfile, report) {
    for (const instruction of dockerfile.stages.flatMap((stage) => stage.instructions)) {
      if (instruction.keyword !== "RUN") continue;
      const asking = commandsOf(instruction).find(asks);
      if (asking === undefined) continue;
      if (isConfigured(dockerfile)) return;
      const program = asking.words[0] ?? "";
      report({
        at: instruction,
        message: `${program} install without -y stops as soon as it has something to ask`,
        hint: `write ${program} install -y`,
      });
    }
  },
};

function asks({ words, isPiped }: ShellCommand): boolean {
  const [program = "", ...others] = words;
  if (isPiped || !managers.has(program) || !others.includes("install")) return false;
  return !others.some((word) => answer.test(word));
}

/** A line that changes the package manager's settings answers for all of the file. */
function isConfigured({ lines }: Dockerfile): boolean {
  return lines.some((line) => /assume-?yes\b/i.test(line) && !/\binstall\b/.test(line));
}
