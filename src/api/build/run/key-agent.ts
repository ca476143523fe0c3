import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, readSmallInput, removeTree, whyUnreadable } from "../../../core/index.ts";
import { apiError } from "../../errors.ts";

/** An agent that was started for some key files. */
export interface KeyAgent {
  readonly socket: string;
  stop(): Promise<void>;
}

/**
 * Starts OpenSSH's agent with keys in it. A `cat` on a pipe of ours ends with us, also when we are killed, and then the
 * agent is ended. Keys are handed over by pipes: ssh-add refuses files that others may read, which is not its
 * business here.
 *
 * @throws SSH_UNAVAILABLE without the programs, or for a key that cannot be used without a passphrase
 */
export async function startKeyAgent(options: {
  /** The agent's folder is made there. */
  readonly directory: string;
  readonly paths: readonly string[];
}): Promise<KeyAgent> {
  const folder = join(options.directory, `ssh-agent-${randomBytes(6).toString("hex")}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // By itself the agent looks only every ten seconds whether its command has ended.
  const script = 'echo ready; cat >/dev/null; kill "$SSH_AGENT_PID"';
  // The name of the socket is relative: addresses of sockets are short.
  const agent = start("ssh-agent", ["-a", "agent.sock", "/bin/sh", "-c", script], folder);
  const stop = async (): Promise<void> => {
    agent.child.stdin?.end();
    await agent.ended;
    await removeTree(folder);
  };
  try {
    await Promise.race([agent.said, agent.ended.then(failed("ssh-agent"))]);
    for (const path of options.paths) await addKey(path, folder);
  } catch (error) {
    await stop();
    throw error;
  }
  return { socket: join(folder, "agent.sock"), stop };
}

/** Bytes. */
const maxKey = 1024 * 1024;

async function addKey(path: string, folder: string): Promise<void> {
  const key = await readSmallInput(path, { limit: maxKey }).catch((cause: unknown) => {
    throw unavailable(`read the key ${path}: ${whyUnreadable(cause)}`, cause);
  });
  const adding = start("ssh-add", ["-q", "-"], folder);
  adding.child.stdin?.end(key);
  const { code, stderr } = await adding.ended;
  if (code !== 0) throw unavailable(`add the key ${path} to an agent: ${stderr.trim()}`);
}

interface Started {
  readonly child: ChildProcess;
  /** Resolves with the first output. */
  readonly said: Promise<void>;
  readonly ended: Promise<Ended>;
}

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

function start(program: string, args: readonly string[], folder: string): Started {
  const { PATH } = process.env;
  const child = spawn(program, args, {
    cwd: folder,
    // Nobody is there to be asked for a passphrase.
    env: { PATH, SSH_AUTH_SOCK: "agent.sock", SSH_ASKPASS_REQUIRE: "never", DISPLAY: "" },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  let stderr = "";
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString("utf8").slice(0, 4096)));
  // A program that ended without reading is told by its exit code.
  child.stdin.on("error", () => undefined);
  return {
    child,
    said: new Promise((resolve) => child.stdout.once("data", () => resolve())),
    ended: new Promise((resolve, reject) => {
      child.once("error", (cause) =>
        reject(unavailable(`start ${program}: ${errnoOf(cause) ?? "?"}`, cause)),
      );
      child.once("close", (code) => resolve({ code, stderr }));
    }),
  };
}

function failed(program: string) {
  return ({ code, stderr }: Ended): never => {
    throw unavailable(`start ${program}: exit code ${String(code)}: ${stderr.trim()}`);
  };
}

function unavailable(message: string, cause?: unknown): Error {
  return apiError("SSH_UNAVAILABLE", message, {
    hint: "install openssh-client, use a key without a passphrase, or give the socket of your own agent",
    cause,
  });
}
