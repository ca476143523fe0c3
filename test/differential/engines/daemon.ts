import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A daemon that the suite starts for itself. */
export interface DaemonChoice {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder for everything that the daemon writes; it goes away with the daemon. */
  readonly folder: string;
  /** The socket on which it answers once it is up. */
  readonly socket: string;
}

/** Starts a daemon and waits for its socket; the call that ends it. @throws with its log when it does not come up */
export async function startDaemon(choice: DaemonChoice): Promise<() => Promise<void>> {
  const { program, args, env, folder, socket } = choice;
  const log = join(folder, "daemon.log");
  const output = await open(log, "w");
  const daemon = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", output.fd, output.fd],
    detached: true,
  });
  await output.close();
  const stop = async (): Promise<void> => {
    await endProcess(daemon);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitForSocket(daemon, socket);
  } catch (error) {
    const told = await readFile(log, "utf8");
    await stop();
    throw new Error(`${program} did not come up:\n${told.slice(-4000)}`, { cause: error });
  }
  return stop;
}

/** The path on which daemons find runtimes and file system tools. */
export function programPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
}

async function waitForSocket(daemon: ChildProcess, socket: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries += 1) {
    if (daemon.exitCode !== null) throw new Error(`exit ${String(daemon.exitCode)}`);
    if (existsSync(socket)) return;
    await sleep(100);
  }
  throw new Error("no answer for five minutes");
}

async function endProcess(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = new Promise((fulfil) => daemon.once("exit", fulfil));
  daemon.kill("SIGTERM");
  await ended;
}
