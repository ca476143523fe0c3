import type { Command } from "commander";
import { kindsOf } from "./command-kind.ts";
import { runCommandLine } from "./command-line.ts";
import { endOutput, watchOutput } from "./output-streams.ts";

/**
 * Runs the command line and sets the exit code of the process. All output is written when the promise resolves: with the
 * kinds of command that it was, which are the same for command lines that run the same code.
 */
export async function main(args: readonly string[]): Promise<readonly string[]> {
  const abort = new AbortController();
  const output = watchOutput(() => abort.abort());
  let called: Command | undefined;
  const onCommand = (command: Command): void => void (called = command);
  const steps = new Set<string>();
  const code = await runCommandLine(args, { brokenPipe: abort.signal, onCommand, steps });
  process.exitCode = output.exitCode() ?? code;
  await endOutput();
  return called === undefined ? [""] : kindsOf(called, steps);
}
