import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Argv } from "../engines/engine.ts";

/** What one run of a command took. */
export interface Cost {
  /** Wall clock. */
  readonly seconds: number;
  /** User and system time of the command and of everything it waited for; a daemon's is not in it. */
  readonly cpuSeconds: number;
  /** Largest resident set of any one process, in bytes. */
  readonly peakBytes: number;
}

export interface RunOptions {
  /** Folder for the figures that the command leaves. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** The module of `memory-probe.ts`; when given, `peakBytes` is that of Node processes alone. */
  readonly probe?: string;
}

/**
 * Runs a command to its end with nothing on its standard input. busybox's `time` stands between, because Node does not
 * tell what a child used; everybody has it in their way.
 *
 * @throws with the command's output when it fails
 */
export async function runCommand(argv: Argv, options: RunOptions): Promise<Cost> {
  const figures = join(options.folder, "figures");
  const [command = "", ...args] = argv;
  // busybox would take its own `tar` for a plain name.
  const timed = ["time", "-f", "%U %S %M", "-o", figures, findProgram(command), ...args];
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env["NODE_EXTRA_CA_CERTS"];
  if (options.probe !== undefined) {
    env["NODE_OPTIONS"] = `--require=${options.probe}`;
    env["TSBUILD_BENCH_PEAKS"] = options.folder;
  }
  const start = performance.now();
  const ended = await finish("busybox", timed, { env, signal: options.signal });
  const seconds = (performance.now() - start) / 1000;
  options.signal.throwIfAborted();
  if (ended.code !== 0) throw new CommandFailed(argv, ended);
  const last = (await readFile(figures, "utf8")).trim().split("\n").at(-1) ?? "";
  const [user = 0, system = 0, peak = 0] = last.split(" ").map(Number);
  const peakBytes =
    options.probe === undefined
      ? (peak * 1024) / (await busyboxFactor())
      : await takePeaks(options.folder);
  return { seconds, cpuSeconds: user + system, peakBytes };
}

/** A command that did not end with 0; the message has the end of its output. */
export class CommandFailed extends Error {
  constructor(argv: Argv, ended: { readonly code: number | string; readonly output: string }) {
    super(`${argv.join(" ")}\nended with ${String(ended.code)}:\n${ended.output.slice(-2000)}`);
  }
}

/** Runs a command that is not measured. @throws {CommandFailed} */
export async function execute(argv: Argv, signal?: AbortSignal): Promise<string> {
  const [command = "", ...args] = argv;
  const env: NodeJS.ProcessEnv = { ...process.env };
  const ended = await finish(command, args, { env, ...(signal && { signal }) });
  signal?.throwIfAborted();
  if (ended.code !== 0) throw new CommandFailed(argv, ended);
  return ended.output;
}

async function finish(
  command: string,
  args: Argv,
  options: { readonly env: NodeJS.ProcessEnv; readonly signal?: AbortSignal },
): Promise<{ readonly code: number | string; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const output: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
    child.once("error", (error) => {
      // An aborted child still has to end: its "close" follows.
      if (error.name !== "AbortError") reject(new Error(`${command}: ${error.message}`));
    });
    child.once("close", (code, signal) => {
      resolve({ code: code ?? signal ?? "?", output: Buffer.concat(output).toString("utf8") });
    });
  });
}

function findProgram(name: string): string {
  if (name.includes("/")) return name;
  const folders = (process.env["PATH"] ?? "").split(":");
  for (const folder of folders) {
    const path = join(folder, name);
    if (existsSync(path)) return path;
  }
  throw new Error(`${name} is not in $PATH`);
}

/** Reads and removes what `memory-probe.ts` left; the largest counts. */
async function takePeaks(folder: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => name.startsWith("peak-"));
  const peaks = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const peak = Number(await readFile(path, "utf8"));
      await rm(path);
      return peak;
    }),
  );
  if (peaks.length === 0) throw new Error("no Node process told its memory");
  return Math.max(...peaks);
}

let factor: Promise<number> | undefined;

/** busybox 1.35 takes kilobytes for pages and tells four times too much; others may not. */
async function busyboxFactor(): Promise<number> {
  factor ??= (async () => {
    const told = "console.log(process.resourceUsage().maxRSS)";
    const output = await execute(["busybox", "time", "-f", "%M", process.execPath, "-e", told]);
    const [own = 1, busybox = 1] = output.trim().split("\n").map(Number);
    return Math.max(1, Math.round(busybox / own));
  })();
  return factor;
}
