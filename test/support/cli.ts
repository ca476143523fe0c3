import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { join, resolve } from "node:path";

/** The repository's own folder; `bin/tsbuild.js` and the fixtures lie below it. */
export const repository =
  process.env["TSBUILD_REPOSITORY"] ?? resolve(import.meta.dirname, "../..");
export const tsbuildBin = join(repository, "bin/tsbuild.js");

export interface CliOptions {
  readonly cwd?: string | undefined;
  /** Added to the environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** State root, given as $TSBUILD_ROOT. */
  readonly root?: string | undefined;
  /** Standard input; empty when absent. */
  readonly input?: string | Uint8Array;
  /** Aborting kills the command with SIGKILL. */
  readonly signal?: AbortSignal;
  /** Another program than the repository's bin/tsbuild.js, for example an installed one. */
  readonly bin?: string;
}

export interface CliResult {
  /** Exit code as a shell tells it: 128 + signal number after a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly process: ChildProcess;
  readonly done: Promise<CliResult>;
  /** Resolves when stderr and stdout together have contained `text`; rejects when the command ends before. */
  seen(text: string): Promise<void>;
}

/** Runs `tsbuild ...args` to its end. Never rejects because of an exit code. */
export async function runCli(
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  return startCli(args, options).done;
}

/** Starts `tsbuild ...args` in a process group of its own, so that a signal can reach it alone or with its children. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [options.bin ?? tsbuildBin, ...args], {
    cwd: options.cwd ?? "/",
    env: environmentOf(options),
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...(options.signal === undefined
      ? {}
      : { signal: options.signal, killSignal: "SIGKILL" as const }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const watchers = new Set<() => void>();
  const collect = (into: Buffer[]) => (chunk: Buffer) => {
    into.push(chunk);
    for (const watch of watchers) watch();
  };
  child.stdout.on("data", collect(stdout));
  child.stderr.on("data", collect(stderr));
  child.stdin.on("error", () => {
    // EPIPE: the command ended without reading its input, which is its right.
  });
  child.stdin.end(options.input ?? "");
  const textOf = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
  const done = new Promise<CliResult>((fulfil, reject) => {
    child.on("error", (error) => {
      if (options.signal?.aborted !== true) reject(error);
    });
    child.on("close", (code, signal) => {
      fulfil({ code: shellCode(code, signal), stdout: textOf(stdout), stderr: textOf(stderr) });
    });
  });
  const seen = async (text: string): Promise<void> => {
    await new Promise<void>((fulfil, reject) => {
      const watch = (): void => {
        if (!textOf(stderr).includes(text) && !textOf(stdout).includes(text)) return;
        watchers.delete(watch);
        fulfil();
      };
      watchers.add(watch);
      watch();
      done.then(
        ({ stderr: told }) => reject(new Error(`ended without showing "${text}":\n${told}`)),
        reject,
      );
    });
  };
  return { process: child, done, seen };
}

/** The command's result when it succeeded; otherwise throws with everything that it printed. */
export async function expectCli(
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const result = await runCli(args, options);
  if (result.code === 0) return result;
  throw new Error(
    `tsbuild ${args.join(" ")}: exit ${String(result.code)}\n${result.stdout}\n${result.stderr}`,
  );
}

/** The environment in which tests run the command. */
export function environmentOf(options: CliOptions): NodeJS.ProcessEnv {
  // Node 20 reads the file that this variable names at every start, which takes eighty milliseconds.
  const { NODE_EXTRA_CA_CERTS: _slow, ...inherited } = process.env;
  const environment: NodeJS.ProcessEnv = { ...inherited, NO_COLOR: "1" };
  // Settings of Vitest and of whoever runs the tests are no business of the command.
  for (const name of ["NODE_ENV", "NODE_OPTIONS", "FORCE_COLOR", "BUILDKIT_PROGRESS"])
    delete environment[name];
  if (options.root !== undefined) environment["TSBUILD_ROOT"] = options.root;
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (value === undefined) delete environment[name];
    else environment[name] = value;
  }
  return environment;
}

function shellCode(code: number | null, signal: NodeJS.Signals | null): number {
  if (code !== null) return code;
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}
