import { CommanderError, type Command } from "commander";
import { isTsbuildError } from "../core/index.ts";

/** What to tell people besides the complaint itself, for the two mistakes that come from how `build` is the default. */
export function usageHint(
  error: unknown,
  given: { readonly args: readonly string[]; readonly program: Command },
): string | undefined {
  const word = firstWord(given.args);
  const isCommand = given.program.commands.some((command) => command.name() === word);
  if (error instanceof CommanderError) {
    if (error.code === "commander.missingArgument" && error.message.includes("'context'")) {
      return "end with the build context, the directory that COPY reads from: tsbuild -t app:1.0 .";
    }
    const isSurplus = error.code === "commander.excessArguments";
    return isSurplus && !isCommand && isBareWord(word) ? noCommand(word) : undefined;
  }
  if (!isTsbuildError(error, "CONTEXT_NOT_FOUND") || error.details["context"] !== word) {
    return undefined;
  }
  return isBareWord(word) ? noCommand(word) : undefined;
}

/** What stands where a command's name does: only options of `tsbuild` itself may come before it. */
function firstWord(args: readonly string[]): string {
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    if (!word.startsWith("-")) return word;
    if (["--root", "--isolation"].includes(word)) at++;
    else if (!/^(?:--root=|--isolation=|--debug$|-D$)/.test(word)) return "";
  }
  return "";
}

/** Could have been meant as the name of a command. */
function isBareWord(word: string): boolean {
  return /^[a-z]+$/.test(word);
}

function noCommand(word: string): string {
  return `there is no command ${word}, so it was taken for a build context; \`tsbuild --help\` lists the commands`;
}
