import type { StageInstruction } from "../../types.ts";
import type { LintRule } from "../types.ts";
import { commandsOf } from "./shell-commands.ts";

const installs =
  /^(?:(?:npm|pnpm) (?:ci|i|install)|yarn(?: install)?|bun install|pip3? install .*-r|poetry install|uv sync|bundle install|composer install|go mod download|cargo fetch)\b/;

export const copyBeforeInstall: LintRule = {
  name: "Tsbuild/CopyBeforeInstall",
  description:
    "Dependencies are installed before the sources are copied, so that a changed source installs nothing again",
  experimental: true,
  example: {
    bad: "COPY . .\nRUN npm ci",
    good: "COPY package.json package-lock.json ./\nRUN npm ci\nCOPY . .",
  },
  onFile({ stages }, report) {
    for (const { instructions } of stages) {
      const copy = instructions.findIndex(copiesEverything);
      const found = instructions[copy];
      if (found === undefined) continue;
      const install = instructions.findIndex(installsDependencies);
      if (install < copy) continue;
      report({
        at: found,
        message: `Every changed file makes the installation in line ${lineOf(instructions[install])} run again`,
        hint: "copy only the files that list the dependencies first, install, and copy the rest afterwards",
      });
    }
  },
};

function copiesEverything(instruction: StageInstruction): boolean {
  if (instruction.keyword !== "COPY" && instruction.keyword !== "ADD") return false;
  if (instruction.keyword === "COPY" && instruction.from !== undefined) return false;
  return instruction.sources.some((source) => source === "." || source === "./");
}

function installsDependencies(instruction: StageInstruction): boolean {
  if (instruction.keyword !== "RUN") return false;
  return commandsOf(instruction).some(({ words }) => installs.test(words.join(" ")));
}

function lineOf(instruction: StageInstruction | undefined): string {
  return String(instruction?.location.line ?? 0);
}
