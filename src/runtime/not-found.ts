import { isTsbuildError, TsbuildError } from "../core/index.ts";
import type { ProcessOptions } from "./process.ts";

/**
 * SANDBOX_EXEC_NOT_FOUND in the words that people know from docker, which scripts look for too. An option behind the
 * image's name is the usual reason. Other errors stay as they are.
 */
export function explainNotFound(error: unknown, given: ProcessOptions): unknown {
  if (!isTsbuildError(error, "SANDBOX_EXEC_NOT_FOUND")) return error;
  const { command } = error.details;
  if (typeof command !== "string") return error;
  const reason = command.includes("/")
    ? "no such file or directory"
    : "executable file not found in $PATH";
  const isOption = command.startsWith("-") && given.command[0] === command;
  return new TsbuildError({
    code: error.code,
    message: `start ${JSON.stringify(command)}: ${reason}`,
    hint: isOption
      ? `what follows the image name is the command: write options such as ${command} before the image name`
      : error.hint,
    details: error.details,
    cause: error.cause,
  });
}
