import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { coreError, diskFull, errnoOf, hideCredentials } from "../../core/index.ts";
import { contextError } from "../errors.ts";

/** One call of the program `git`. */
export interface GitCall {
  readonly args: readonly string[];
  /** What is attempted, for messages: `fetch https://host/x.git`. */
  readonly purpose: string;
  readonly gitDir?: string | undefined;
  /** Further settings: `key=value`. They are handed over in the environment, where other users do not see them. */
  readonly config?: readonly (readonly [string, string])[] | undefined;
  /** How remotes may be reached: `file` only between our own folders. */
  readonly protocols?: "network" | "file" | undefined;
  readonly agentSocket?: string | undefined;
  /** Where keys of ssh servers are remembered that were never seen before. */
  readonly knownHosts?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A call under way: its output, and a promise of its success. Whoever starts it reads the output to the end. */
export interface RunningGit {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** @throws CONTEXT_GIT_MISSING, CONTEXT_GIT_FAILED with details.status, DISK_FULL, CANCELED */
  readonly done: Promise<void>;
}

/** @throws as `RunningGit.done` */
export async function runGit(call: GitCall): Promise<Buffer> {
  const running = startGit(call);
  running.stdin.end();
  const chunks: Buffer[] = [];
  // A failure to start destroys the output as well; `done` tells why.
  running.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await running.done;
  return Buffer.concat(chunks);
}

export function startGit(call: GitCall): RunningGit {
  const { signal } = call;
  signal?.throwIfAborted();
  const args = call.gitDir === undefined ? call.args : [`--git-dir=${call.gitDir}`, ...call.args];
  const child = spawn("git", args, {
    env: environmentOf(call),
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    // Git's own children (ssh, curl) are in its group and go with it.
    detached: true,
  });
  const stop = (): void => killGroup(child);
  signal?.addEventListener("abort", stop, { once: true });
  const done = outcomeOf(child, call).finally(() => signal?.removeEventListener("abort", stop));
  // Told by whoever awaits it.
  done.catch(() => undefined);
  child.stdin.on("error", () => undefined);
  return { stdin: child.stdin, stdout: child.stdout, done };
}

type GitProcess = ChildProcessByStdio<Writable, Readable, Readable>;

async function outcomeOf(child: GitProcess, call: GitCall): Promise<void> {
  let told = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    told = (told + text).slice(-4096);
  });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.on("error", (error) => reject(notStarted(call, error)));
    child.on("close", (code, killer) => resolve(code ?? killer ?? "unknown"));
  });
  if (call.signal?.aborted === true)
    throw coreError("CANCELED", `${call.purpose}: canceled`, { cause: call.signal.reason });
  if (status !== 0) throw failed(call, { status, told });
}

function killGroup(child: GitProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    // It has ended by itself meanwhile.
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

/**
 * Nothing of the user's or the machine's settings gets in: a build is the same everywhere, and no credential helper,
 * hook, filter or rewritten URL of theirs runs in its name.
 */
function environmentOf(call: GitCall): NodeJS.ProcessEnv {
  const config: readonly (readonly [string, string])[] = [
    ["core.hooksPath", "/dev/null"],
    ["core.fsmonitor", "false"],
    ["core.logAllRefUpdates", "false"],
    ["credential.helper", ""],
    ["fetch.recurseSubmodules", "false"],
    ["gc.auto", "0"],
    // Bytes a second, and seconds below that: what every other download takes for a server that fell silent.
    ["http.lowSpeedLimit", "1"],
    ["http.lowSpeedTime", "120"],
    ["init.defaultBranch", "main"],
    ["maintenance.auto", "false"],
    // The state root is ours, whoever owns the folders on the way to it.
    ["safe.directory", "*"],
    ...(call.config ?? []),
  ];
  const settings = config.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${String(index)}`, key],
    [`GIT_CONFIG_VALUE_${String(index)}`, value],
  ]);
  return {
    ...inherited(),
    ...Object.fromEntries(settings),
    GIT_CONFIG_COUNT: String(config.length),
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_ALLOW_PROTOCOL: call.protocols === "file" ? "file" : "http:https:git:ssh",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    GIT_SSH_COMMAND: sshCommand(call.knownHosts),
    HOME: "/dev/null",
    LC_ALL: "C",
    ...(call.agentSocket === undefined ? {} : { SSH_AUTH_SOCK: call.agentSocket }),
  };
}

const passed = [
  "PATH",
  ...["http_proxy", "https_proxy", "all_proxy", "no_proxy"].flatMap((name) => [
    name,
    name.toUpperCase(),
  ]),
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "GIT_SSL_CAINFO",
];

function inherited(): NodeJS.ProcessEnv {
  const found = passed.filter((name) => process.env[name] !== undefined);
  return Object.fromEntries(found.map((name) => [name, process.env[name]]));
}

/** A server that is seen for the first time is believed; one whose key has changed is not. */
function sshCommand(knownHosts: string | undefined): string {
  const files = `UserKnownHostsFile="${knownHosts ?? "/dev/null"}" ~/.ssh/known_hosts`;
  const quoted = `'${files.replaceAll("'", "'\\''")}'`;
  return `ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ${quoted}`;
}

function notStarted({ purpose }: GitCall, cause: Error): Error {
  const isMissing = errnoOf(cause) === "ENOENT";
  return contextError(
    isMissing ? "CONTEXT_GIT_MISSING" : "CONTEXT_GIT_FAILED",
    isMissing ? `${purpose}: the program git is not installed` : `${purpose}: ${cause.message}`,
    { hint: isMissing ? "install git, for example with apt-get install git" : undefined, cause },
  );
}

function failed(
  { purpose, gitDir }: GitCall,
  outcome: { readonly status: number | string; readonly told: string },
): Error {
  const lines = hideCredentials(outcome.told)
    .split("\n")
    .filter((line) => line.trim() !== "");
  const reason =
    lines.findLast((line) => /^(?:fatal|error):/.test(line)) ?? lines.at(-1) ?? "it told nothing";
  const error = contextError("CONTEXT_GIT_FAILED", `${purpose}: ${reason}`, {
    hint: "check the URL; for a private repository give --secret id=GIT_AUTH_TOKEN, or an ssh agent with --ssh default",
    details: { status: outcome.status, output: lines.join("\n") },
  });
  const isFull = lines.some((line) => /No space left on device|Disk quota exceeded/.test(line));
  return isFull && gitDir !== undefined ? diskFull(gitDir, error) : error;
}
