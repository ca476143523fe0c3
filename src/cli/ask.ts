import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { usageError } from "../api/index.ts";
import { coreError } from "../core/index.ts";

/**
 * Asks a person at the terminal, on stderr, since stdout may lead elsewhere. What they type in answer to a hidden question is
 * not shown.
 * @throws USAGE when nobody is there; CANCELED
 */
export async function ask(
  question: string,
  options: { readonly hidden: boolean; readonly signal: AbortSignal },
): Promise<string> {
  if (!process.stdin.isTTY) {
    throw usageError(
      `ask for ${question.replace(/: $/, "").toLowerCase()}: there is no terminal`,
      "give the user with -u and the password on standard input with --password-stdin",
    );
  }
  const { hidden, signal } = options;
  let isShown = true;
  // The editor of the line puts the terminal into raw mode and shows what is typed itself, or here does not.
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done): void => {
      if (isShown) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return await new Promise<string>((fulfil, reject) => {
      const stop = (): void => reject(coreError("CANCELED", "log in: canceled"));
      signal.addEventListener("abort", stop, { once: true });
      lines.once("SIGINT", stop);
      lines.once("close", stop);
      lines.question(question, fulfil);
      isShown = !hidden;
    });
  } finally {
    lines.close();
    if (hidden) process.stderr.write("\n");
  }
}
