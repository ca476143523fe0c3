import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Folders below the one into which docker's packages were unpacked. */
const programFolders = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin"];
const patience = 60_000;

/** Programs of docker: those on $PATH, or those below `root`. */
export interface DockerPrograms {
  readonly docker: string;
  readonly dockerd: string;
  /** What dockerd finds containerd and runc with. */
  readonly path: string;
}

/** Undefined when there is no daemon to start. @throws when `root` was given and holds none */
export function findDocker(root: string | undefined): DockerPrograms | undefined {
  const own = root === undefined ? [] : programFolders.map((folder) => join(root, folder));
  const path = [...own, ...(process.env["PATH"] ?? "").split(delimiter)];
  const find = (name: string): string | undefined =>
    path.map((folder) => join(folder, name)).find((file) => existsSync(file));
  const [docker, dockerd] = [find("docker"), find("dockerd")];
  if (docker !== undefined && dockerd !== undefined)
    return { docker, dockerd, path: path.join(delimiter) };
  if (root !== undefined) throw new Error(`--docker ${root}: there is no usr/sbin/dockerd`);
  return undefined;
}

export interface DockerDaemon {
  /** What clients need in their environment. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * Starts a daemon with all it has below `directory`. It has no bridge and leaves the host's firewall alone: every row
 * uses the host's network.
 *
 * @throws with the end of its log when it does not answer within a minute
 */
export async function startDocker(
  { docker, dockerd, path }: DockerPrograms,
  options: { readonly directory: string; readonly signal: AbortSignal },
): Promise<DockerDaemon> {
  const { directory, signal } = options;
  const inside = (name: string): string => join(directory, name);
  await mkdir(inside("config"), { recursive: true });
  await writeFile(inside("config/config.json"), JSON.stringify(clientConfig(docker)));
  const environment = {
    DOCKER_HOST: `unix://${inside("docker.sock")}`,
    DOCKER_CONFIG: inside("config"),
    // Without its plugin the client would take the old builder and only say so.
    DOCKER_BUILDKIT: "1",
  };
  const places = [
    ...["--data-root", inside("data"), "--exec-root", inside("exec")],
    ...["--pidfile", inside("docker.pid"), "--host", environment.DOCKER_HOST],
  ];
  const log = await open(inside("log"), "w");
  const child = spawn(dockerd, [...places, "--bridge=none", "--iptables=false"], {
    env: { ...process.env, PATH: path },
    stdio: ["ignore", log.fd, log.fd],
  });
  // It may end while the log is closed: listen before anything is waited for.
  let failure: string | undefined;
  child.once("error", (error) => (failure = error.message));
  child.once("exit", (code) => (failure ??= `ended with ${String(code)}`));
  await log.close();
  const answers = (): boolean => {
    const env = { ...process.env, ...environment };
    return spawnSync(docker, ["info"], { env, timeout: patience }).status === 0;
  };
  for (const deadline = Date.now() + patience; !answers(); await sleep(200)) {
    const isLate = Date.now() > deadline;
    if (failure === undefined && !isLate && !signal.aborted) continue;
    await end(child);
    signal.throwIfAborted();
    const told = (await readFile(inside("log"), "utf8")).slice(-2000);
    throw new Error(`${dockerd}: ${failure ?? "it does not answer"}\n${told}`);
  }
  return { environment, stop: async () => end(child) };
}

/** Its plugins lie beside the client, wherever that was unpacked. */
function clientConfig(docker: string): object {
  const prefix = dirname(dirname(docker));
  const folders = [
    join(prefix, "libexec/docker/cli-plugins"),
    join(prefix, "lib/docker/cli-plugins"),
    join(homedir(), ".docker/cli-plugins"),
  ];
  return { cliPluginsExtraDirs: folders };
}

async function end(child: ChildProcess): Promise<void> {
  const isRunning = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  if (!isRunning) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await ended;
  clearTimeout(killer);
}
