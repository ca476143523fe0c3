import type { Command } from "commander";

/**
 * The words that lead to a command and the flags that were given, without their values: `image rm --force`. What a
 * command line of the same kind runs is mostly the same code.
 */
export function kindOf(command: Command): string {
  const flags = command.options
    .filter((option) => command.getOptionValueSource(option.attributeName()) === "cli")
    .map((option) => option.long ?? option.flags);
  return [...pathOf(command), ...flags.sort()].join(" ");
}

/** The program itself is no word of it. */
function pathOf(command: Command): readonly string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}
