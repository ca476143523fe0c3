import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { bundleScript } from "./bundle-script.ts";
import type { FileState } from "./restless-content.ts";

/** A process that changes files of `FOLDER/tree` while it is told to. */
export interface RestlessProcess {
  /** Resolves when it has begun; `gap`: milliseconds between changes. */
  go(gap: number): Promise<void>;
  /** Resolves when nothing changes any more, to every state that a file of the tree had since `go`. */
  stop(): Promise<readonly FileState[]>;
  /** Ends the process. */
  end(): Promise<void>;
}

/** `folder` has to hold a directory `outside`, to which links of the tree lead. */
export async function startRestlessProcess(folder: string, seed: number): Promise<RestlessProcess> {
  const script = await bundleScript("restless-tree");
  const child = spawn(process.execPath, [script, folder, String(seed)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("the process that changes files has ended");
    return value;
  };
  await answer();
  return {
    go: async (gap) => {
      child.stdin.write(`go ${String(gap)}\n`);
      await answer();
    },
    stop: async () => {
      child.stdin.write("stop\n");
      return JSON.parse(await answer()) as readonly FileState[];
    },
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}
