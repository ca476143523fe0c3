import { runCommandLine } from "./command-line.ts";
import { endOutput, watchOutput } from "./output-streams.ts";

/** Runs the command line and sets the exit code of the process. All output is written when the promise resolves. */
export async function main(args: readonly string[]): Promise<void> {
  const abort = new AbortController();
  const output = watchOutput(() => abort.abort());
  const code = await runCommandLine(args, { brokenPipe: abort.signal });
  process.exitCode = output.exitCode() ?? code;
  await endOutput();
}
