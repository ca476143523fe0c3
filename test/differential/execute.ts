import { spawn } from "node:child_process";

export interface Executed {
  /** Exit code; 128 where a signal ended the program. */
  readonly code: number;
  /** Standard output and standard error as they came. */
  readonly output: string;
}

export interface ExecuteOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: Buffer;
}

/** Runs a program to its end, whatever comes of it. @throws when it cannot be started */
export async function run(
  [program = "", ...args]: readonly string[],
  options: ExecuteOptions = {},
): Promise<Executed> {
  const { NODE_EXTRA_CA_CERTS: _slow, ...inherited } = process.env;
  const child = spawn(program, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...inherited, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on("error", () => {
    // EPIPE: the program ended without reading its input, which is its right.
  });
  child.stdin.end(options.input ?? "");
  return new Promise((fulfil, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      fulfil({ code: code ?? 128, output: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

/** Runs a program that must succeed; its output. @throws with the output when it does not */
export async function execute(
  command: readonly string[],
  options: ExecuteOptions = {},
): Promise<string> {
  const { code, output } = await run(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit ${String(code)}\n${output}`);
  return output;
}
