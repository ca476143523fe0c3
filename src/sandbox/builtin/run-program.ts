import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { coreError, errnoOf, loadSyscalls } from "../../core/index.ts";
import { sandboxError } from "../errors.ts";
import type { SandboxStdio } from "../types.ts";
import type { FailedCall } from "./failure.ts";
import type { LoweredProgram } from "./lower-ops.ts";
import { reportFd } from "./program.ts";
import type { CallReport, Report } from "./report.ts";
import { ReportReader } from "./report.ts";

export interface ProgramOptions {
  /** The executable's bytes. */
  readonly program: Uint8Array;
  readonly lowered: LoweredProgram;
  /** Where to put them for the moment of starting; nothing is there yet. `memory`: nowhere, for they hold secrets. */
  readonly place: { readonly path: string } | "memory";
  readonly stdio: SandboxStdio;
  /** Descriptors of ours that the program has after the report socket. */
  readonly keepOpen?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the supervisor's pid before it starts the command. */
  readonly onReady?: ((supervisor: number) => void) | undefined;
}

/** How a step program ended; `lost` when somebody else killed it. */
export type ProgramOutcome =
  | { readonly type: "ended"; readonly waitStatus: number }
  | { readonly type: "failed"; readonly failure: FailedCall }
  | { readonly type: "lost" };

/** How long output may stay open after the last process is gone: somebody outside was handed the pipe. */
const orphanedOutputMs = 1000;

/**
 * Starts a step program, answers its "ready", hands over its output, and settles when it and all that it started is
 * gone. Aborting kills all of it first.
 * @throws CANCELED, SANDBOX_UNSUPPORTED when programs cannot be started from `place`
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramOutcome> {
  const { place } = options;
  const child = await (place === "memory"
    ? startFromMemory(options)
    : startFromDisk(options, place.path));
  const run = new ProgramRun(child, options);
  const abort = (): void => run.hangUp();
  options.signal?.addEventListener("abort", abort, { once: true });
  options.stdio.onStart?.({ signal: (name) => run.signalCommand(name) });
  if (options.signal?.aborted === true) abort();
  try {
    const outcome = await run.finished();
    if (options.signal?.aborted === true) throw canceled(options.signal);
    return outcome;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

function canceled(signal: AbortSignal): Error {
  return coreError("CANCELED", "run a step: canceled", { cause: signal.reason });
}

/**
 * Written and started in one go: exec refuses a file that any process has open for writing (ETXTBSY), and a process
 * forked by another thread at the wrong moment holds it open until its own exec. Synchronous, since for a few KB that is
 * quicker than a turn of the thread pool, and nothing else of this thread can fork in between.
 */
async function startFromDisk(options: ProgramOptions, path: string): Promise<ChildProcess> {
  for (let attempt = 0; ; attempt += 1) {
    if (options.signal?.aborted === true) throw canceled(options.signal);
    writeFileSync(path, options.program, { mode: 0o700, flag: "wx" });
    try {
      return await spawnProgram(path, options);
    } catch (error) {
      if (errnoOf(error) === "ETXTBSY" && attempt < 20) await sleep(1 + attempt);
      else throw startFailure(error, path);
    } finally {
      unlinkSync(path);
    }
  }
}

/** No disk ever sees the program: it is a file that has a descriptor and no name. */
async function startFromMemory(options: ProgramOptions): Promise<ChildProcess> {
  const { memfdCreate } = await loadSyscalls();
  if (options.signal?.aborted === true) throw canceled(options.signal);
  const fd = memfdCreate("tsbuild-step");
  try {
    for (let written = 0; written < options.program.length;) {
      written += writeSync(fd, options.program, written);
    }
    return await spawnProgram(`/proc/self/fd/${fd}`, options);
  } finally {
    closeSync(fd);
  }
}

async function spawnProgram(
  path: string,
  { stdio, keepOpen = [] }: ProgramOptions,
): Promise<ChildProcess> {
  const stdin = stdio.stdin === "inherit" ? "inherit" : "ignore";
  const output = stdio.output === "inherit" ? "inherit" : "ignore";
  const child = spawn(path, [], {
    argv0: "tsbuild-step",
    cwd: "/",
    env: {},
    stdio: [stdin, output, output, "pipe", ...keepOpen],
  });
  if (child.pid !== undefined) return child;
  const [error] = await new Promise<[Error]>((resolve) => {
    child.once("error", (...args) => resolve(args));
  });
  throw error;
}

function startFailure(error: unknown, path: string): unknown {
  if (errnoOf(error) !== "EACCES") return error;
  return sandboxError("SANDBOX_UNSUPPORTED", `start a step program in ${path}: EACCES`, {
    hint: "the state directory must not lie on a filesystem mounted noexec",
    cause: error,
  });
}

/** One program under way. */
class ProgramRun {
  readonly #child: ChildProcess;
  readonly #options: ProgramOptions;
  readonly #channel: Socket;
  readonly #reports = new ReportReader();
  readonly #notes: CallReport[] = [];
  readonly #outputs: Socket[] = [];
  readonly #outputEnds: Promise<void>[] = [];
  readonly #ends: readonly Promise<void>[];
  #outcome: ProgramOutcome = { type: "lost" };
  #fault: Error | undefined;

  constructor(child: ChildProcess, options: ProgramOptions) {
    this.#child = child;
    this.#options = options;
    const channel = child.stdio[reportFd];
    if (!(channel instanceof Socket)) throw new Error("the report socket is not a socket");
    this.#channel = channel;
    this.#ends = [closed(channel), exited(child)];
    channel.on("data", (chunk: Buffer) => this.#receive(chunk));
    // A supervisor outlives the first process only when somebody killed that one: then it is told to end what it has.
    child.once("exit", () => channel.end());
  }

  /** The program sees the hang-up, kills all that it started and waits for its end. */
  hangUp(): void {
    this.#channel.destroy();
  }

  /**
   * Signals what the supervisor has started. A command is init of its own PID namespace, so before it is there, and
   * while it has no handler, signals other than SIGKILL do nothing.
   */
  signalCommand(name: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null)
      return;
    // Behind the supervisor there may be orphans that the first process has adopted.
    for (const command of childrenOf(pid).slice(0, 1).flatMap(childrenOf))
      sendSignal(command, name);
  }

  async finished(): Promise<ProgramOutcome> {
    await Promise.all(this.#ends);
    const timer = setTimeout(() => {
      for (const output of this.#outputs) output.destroy();
    }, orphanedOutputMs);
    await Promise.all(this.#outputEnds);
    clearTimeout(timer);
    if (this.#fault !== undefined) throw this.#fault;
    return this.#outcome;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const report of this.#reports.push(chunk)) this.#take(report);
    } catch (error) {
      this.#fault = error instanceof Error ? error : new Error(String(error));
      this.hangUp();
    }
  }

  #take(report: Report): void {
    switch (report.type) {
      case "ready":
        this.#openOutputs();
        this.#tellReady();
        this.#channel.write("!");
        return;
      case "noted":
        this.#notes.push(report);
        return;
      case "failed":
        // The first process' own end, which then fails too, is not the reason.
        if (this.#outcome.type !== "failed") this.#outcome = this.#failed(report);
        return;
      case "ended":
        if (this.#outcome.type === "lost") {
          this.#outcome = { type: "ended", waitStatus: report.waitStatus };
        }
        return;
    }
  }

  #tellReady(): void {
    const { pid } = this.#child;
    const { onReady } = this.#options;
    if (pid === undefined || onReady === undefined) return;
    for (const supervisor of childrenOf(pid).slice(0, 1)) onReady(supervisor);
  }

  #failed(report: CallReport): ProgramOutcome {
    const { origins } = this.#options.lowered;
    const origin = origins[report.call];
    if (origin === undefined) throw new Error(`step program reported call ${report.call}`);
    const notedErrnos = this.#notes
      .filter((note) => origins[note.call]?.op === origin.op)
      .map((note) => note.errno);
    return { type: "failed", failure: { origin, errno: report.errno, notedErrnos } };
  }

  /**
   * The program makes the pipes, we open their other ends by way of /proc: Node itself can only make sockets, and a
   * socket cannot be opened again as /dev/stdout.
   */
  #openOutputs(): void {
    const { output } = this.#options.stdio;
    if (output === "inherit") return;
    for (const stream of ["stdout", "stderr"] as const) {
      const fd = this.#options.lowered.descriptors.get(`${stream} read`);
      if (fd === undefined) throw new Error(`the program has no pipe for ${stream}`);
      const socket = openPipe(`/proc/${this.#child.pid}/fd/${fd}`);
      socket.on("data", (bytes: Buffer) => output(stream, bytes));
      this.#outputs.push(socket);
      this.#outputEnds.push(closed(socket));
    }
  }
}

/** None when the process is gone. */
function childrenOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return children
      .split(" ")
      .filter((word) => word !== "")
      .map(Number);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ESRCH") return [];
    throw error;
  }
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

function openPipe(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Errors end in a close too; what they mean for the run is told by the outcome, which then is `lost`. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on("error", () => undefined);
    socket.once("close", () => resolve());
  });
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
  });
}
