import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Argv } from "../engines/engine.ts";

/** Milliseconds after which the others get their turn: a hold may have a limit of its own, such as a minute. */
const longEnough = 35_000;

/**
 * Holds the machine for one command after another, and lets the others in between when it has lasted.
 *
 * @example
 * const holder = new Holder(["flock", "/tmp/bench.lock"], signal);
 * try { await holder.ensure(); await run(); holder.confirm(); } finally { await holder.release(); }
 */
export class Holder {
  readonly #prefix: Argv;
  readonly #signal: AbortSignal;
  #hold: Hold | undefined;
  #since = 0;

  constructor(prefix: Argv, signal: AbortSignal) {
    this.#prefix = prefix;
    this.#signal = signal;
  }

  async ensure(): Promise<void> {
    const lasts = performance.now() - this.#since < longEnough;
    if (this.#hold?.isOver() === false && lasts) return;
    await this.release();
    this.#hold = await takeHold(this.#prefix, this.#signal);
    this.#since = performance.now();
  }

  /** Says that all since `ensure` was held. @throws {HoldLost} when it ended by itself */
  confirm(): void {
    if (this.#hold?.isOver() !== true) return;
    throw new HoldLost(`${this.#prefix.join(" ")} let go before the turn was over`);
  }

  async release(): Promise<void> {
    const hold = this.#hold;
    this.#hold = undefined;
    await hold?.release();
  }
}

/** The hold ended by itself: others may have worked meanwhile, so what was measured is worth nothing. */
export class HoldLost extends Error {}

interface Hold {
  isOver(): boolean;
  release(): Promise<void>;
}

/**
 * Starts `prefix` before a command that says when it has begun and waits, such as `flock /tmp/bench.lock`: what the
 * prefix keeps, we keep until the release. An empty prefix holds nothing.
 */
async function takeHold(prefix: Argv, signal: AbortSignal): Promise<Hold> {
  const [command, ...args] = prefix;
  if (command === undefined) return { isOver: () => false, release: () => Promise.resolve() };
  const waiting = [...args, "sh", "-c", "echo held; read -r end"];
  const child = spawn(command, waiting, { stdio: ["pipe", "pipe", "inherit"], signal });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => {
      resolve(error.message);
    });
    child.once("close", (code) => {
      resolve(`ended with ${String(code)}`);
    });
  });
  child.stdin.on("error", () => undefined); // It may be gone; isOver() says so.
  const begun = await Promise.race([once(child.stdout, "data"), ended]);
  signal.throwIfAborted();
  if (typeof begun === "string") throw new Error(`${prefix.join(" ")}: ${begun}`);
  return {
    isOver: () => child.exitCode !== null || child.signalCode !== null,
    release: async () => {
      child.stdin.end("end\n");
      await ended;
    },
  };
}
