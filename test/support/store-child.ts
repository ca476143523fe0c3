import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { bundleForNode } from "./bundle.ts";
import type { StoreCommand } from "./store-process.ts";

/** Another process that has the same root open. */
export interface StoreChild {
  /** Its folder in `tmp/`. */
  readonly tmpDir: string;
  /** Sends a command and waits for its first answer: `held` for what lasts, else `done`. `release` answers once it is over. */
  tell(command: StoreCommand): Promise<string>;
  /** The next answer. */
  answer(): Promise<string>;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts a process on the root; it is killed when the test ends. */
export async function startStoreChild(root: string): Promise<StoreChild> {
  const program = await bundleForNode(join(import.meta.dirname, "store-process.ts"));
  const child = fork(program, [root], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const kill = async (): Promise<void> => killChild(child);
  onTestFinished(kill);
  const answer = answersOf(child);
  const opened = await answer();
  return {
    tmpDir: opened.replace(/^open /, ""),
    tell: async (command) => {
      child.send(command);
      return answer();
    },
    answer,
    kill,
  };
}

/** Answers in order, none lost between two calls; "exited" once there can be no more. */
function answersOf(child: ChildProcess): () => Promise<string> {
  const waiting: ((answer: string) => void)[] = [];
  const early: string[] = [];
  const deliver = (answer: string): void => {
    const receiver = waiting.shift();
    if (receiver === undefined) early.push(answer);
    else receiver(answer);
  };
  child.on("message", (message) => deliver(String(message)));
  child.on("exit", () => deliver("exited"));
  return async () => early.shift() ?? new Promise((resolve) => waiting.push(resolve));
}

async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
