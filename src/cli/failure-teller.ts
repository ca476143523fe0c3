import type { Command } from "commander";
import { isUsageError } from "../api/index.ts";
import { globalFlags, type Invocation } from "./invocation.ts";
import { printError } from "./print-error.ts";

/**
 * For commands that are given several images: tells that one of them failed, for the exit code too, while the others go on
 * as with docker. Ctrl-C is about all of them, so then it throws what it was given.
 */
export function failureTeller(invocation: Invocation, command: Command): (error: unknown) => void {
  const debug = globalFlags(command).debug === true;
  return (error) => {
    if (invocation.signal.aborted) throw error;
    printError(error, { stream: process.stderr, debug });
    invocation.exitCode = Math.max(invocation.exitCode, isUsageError(error) ? 2 : 1);
  };
}
