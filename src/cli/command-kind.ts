import type { Command } from "commander";
import type { ProgressListener } from "../core/index.ts";
import { stepPrefix } from "./start/rounds.ts";

/**
 * The words that lead to a command and the flags that were given, without their values: `image rm --force`; and what
 * `noteSteps` noted: `step COPY`, `step RUN (cached)`. What command lines of the same kinds run is mostly the same code.
 */
export function kindsOf(
  command: Command,
  steps: ReadonlySet<string> = new Set(),
): readonly string[] {
  const flags = command.options
    .filter((option) => command.getOptionValueSource(option.attributeName()) === "cli")
    .map((option) => option.long ?? option.flags);
  const called = [...pathOf(command), ...flags.sort()].join(" ");
  return [called, ...[...steps].map((step) => stepPrefix + step)];
}

/** Notes which instructions a build has, and whether they came from the cache: each runs functions of its own. */
export function noteSteps(steps: Set<string>, listener: ProgressListener): ProgressListener {
  return (event) => {
    if (event.type === "step-started" || event.type === "step-cached") {
      const instruction = instructionOf(event.name);
      const suffix = event.type === "step-cached" ? " (cached)" : "";
      if (instruction !== undefined) steps.add(instruction + suffix);
    }
    listener(event);
  };
}

/** No other word of a step's name is kept: the rest of it holds what the Dockerfile and its variables say. */
const instructions: readonly string[] = ["ADD", "COPY", "FROM", "ONBUILD", "RUN", "WORKDIR"];

/** `RUN` of `[builder 2/4] RUN make`; undefined for a step that is no instruction. */
function instructionOf(name: string): string | undefined {
  const end = name.indexOf("] ");
  return end === -1 ? undefined : instructions.find((word) => name.startsWith(word, end + 2));
}

/** The program itself is no word of it. */
function pathOf(command: Command): readonly string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}
