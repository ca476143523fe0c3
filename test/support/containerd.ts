import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { removeTree } from "../../src/core/index.ts";
import { runProgram } from "./setup-workspace.ts";

export interface Containerd {
  /** Shell words that call its client; in front of a verb such as `images import FILE`. */
  readonly client: string;
  /** Ends the process and removes all that it keeps. */
  stop(): Promise<void>;
}

/** Starts Debian's containerd with an empty store of its own, reached through a socket. Whoever starts it stops it. */
export async function startContainerd(): Promise<Containerd> {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-containerd-"));
  const socket = join(folder, "socket");
  await writeFile(join(folder, "config.toml"), configOf(folder));
  const child = spawn("containerd", ["--config", join(folder, "config.toml")], {
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
    await removeTree(folder);
  };
  try {
    await Promise.race([answering(socket), ended.then(failed)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { client: `ctr --address '${socket}' --namespace test`, stop };
}

function configOf(folder: string): string {
  return `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${folder}/socket"
`;
}

async function answering(socket: string): Promise<void> {
  for (;;) {
    try {
      await runProgram("ctr", ["--address", socket, "version"]);
      return;
    } catch {
      await wait(50);
    }
  }
}

function failed(): never {
  throw new Error("containerd does not start (package containerd)");
}
