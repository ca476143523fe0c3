import { outputFailed } from "../api/index.ts";
import { diskFull, errnoOf, isDiskFull } from "../core/index.ts";
import { printError } from "./print-error.ts";

/**
 * Listens to what goes wrong with our own output. Whoever reads it may go away first (`tsbuild images | head -1`), and
 * programs then end silently, as if SIGPIPE had ended them; `onBrokenPipe` is told. A full disk behind standard output
 * is told on stderr. What happens to stderr otherwise cannot be told to anybody, and stops nothing.
 *
 * Errors come after the write, so the listeners stay until the process ends.
 */
export function watchOutput(onBrokenPipe: () => void): {
  readonly exitCode: () => number | undefined;
} {
  let exitCode: number | undefined;
  const fail = (code: number): void => {
    exitCode ??= code;
    // For errors after the verb's end; before it `exitCode()` is asked.
    process.exitCode = exitCode;
  };
  const isBrokenPipe = (error: Error): boolean => {
    if (errnoOf(error) !== "EPIPE") return false;
    fail(brokenPipeCode);
    onBrokenPipe();
    return true;
  };
  process.stderr.on("error", isBrokenPipe);
  process.stdout.on("error", (error) => {
    if (isBrokenPipe(error) || exitCode !== undefined) return;
    fail(1);
    const told = isDiskFull(error)
      ? diskFull("standard output", error)
      : outputFailed("standard output", error);
    printError(told, { stream: process.stderr, debug: false });
  });
  return { exitCode: () => exitCode };
}

/** What a shell says of a program that SIGPIPE ended. */
export const brokenPipeCode = 128 + 13;

/** Waits until nothing is left to be written, or can be. What goes wrong is told to the listeners of `watchOutput`. */
export async function endOutput(): Promise<void> {
  const streams = [process.stdout, process.stderr];
  const isBusy = (stream: NodeJS.WriteStream): boolean =>
    stream.writableLength > 0 && !stream.destroyed;
  await Promise.all(
    streams.filter(isBusy).map(
      async (stream) =>
        new Promise<void>((resolve) => {
          stream.write("", () => resolve());
        }),
    ),
  );
  // A write that failed at once tells so by an event of its own.
  await new Promise((resolve) => setImmediate(resolve));
}
