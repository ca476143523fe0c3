import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execute, run } from "../execute.ts";
import { programPath, startDaemon } from "./daemon.ts";
import { type Engine, type Feature, featuresSince, isBefore, readVersion } from "./engine.ts";

/** The first release whose embedded BuildKit knows a feature. */
const since: Readonly<Record<Feature, readonly [number, number]>> = {
  "run-mount": [20, 10],
  "run-network": [23, 0],
  heredoc: [23, 0],
  link: [23, 0],
  "build-context": [23, 0],
  "start-interval": [25, 0],
  "onbuild-heredoc": [24, 0],
  "expansion-patterns": [27, 0],
  "symbolic-chmod": [28, 0],
  parents: [29, 0],
  exclude: [28, 5],
  unpack: [28, 0],
};

const firstWithStore = [28, 0] as const;

/** A dockerd to start, or one that runs already. */
export interface DockerChoice {
  /** The client. */
  readonly docker: string;
  /** The daemon that is started for the suite; absent: $DOCKER_HOST names one. */
  readonly dockerd?: string;
  /** Further flags of the daemon. */
  readonly flags?: readonly string[];
  /** Folder for everything that the daemon writes. */
  readonly folder: string;
}

/** Starts the daemon if it is ours to start, and waits for its answer. @throws with its log when it does not come up */
export async function openDocker(choice: DockerChoice): Promise<Engine> {
  const config = join(choice.folder, "client");
  await mkdir(config, { recursive: true });
  const daemon = choice.dockerd === undefined ? undefined : await startDockerd(choice);
  const env = {
    DOCKER_BUILDKIT: "1",
    // Nothing of the person who runs the suite: contexts, credentials, proxies.
    DOCKER_CONFIG: config,
    BUILDX_NO_DEFAULT_ATTESTATIONS: "1",
    ...(daemon === undefined ? {} : { DOCKER_HOST: daemon.host, DOCKER_CONTEXT: undefined }),
  };
  await writeFile(join(config, "config.json"), JSON.stringify(clientConfig(choice)));
  const docker = async (...args: readonly string[]): Promise<string> =>
    execute([choice.docker, ...args], { env });
  const tags: string[] = [];
  const version = readVersion(await docker("version", "--format", "{{.Server.Version}}"));
  return {
    name: "docker",
    version,
    features: featuresSince(version, since),
    compares: {
      parts: ["config", "history", "tree"],
      ignoredFields: ["moby.buildkit.buildinfo.v1", "moby.buildkit.buildinfo.v0"],
    },
    load: async (archive) => {
      await docker("load", "--input", archive);
    },
    build: async ({ folder, context, tag, flags, archive }) => {
      const command = ["build", "--network", "host", "--no-cache", ...flags, "--tag", tag];
      const built = await run([choice.docker, ...command, context], { cwd: folder, env });
      if (built.code !== 0) return { kind: "refused", output: built.output };
      tags.push(tag);
      await docker("save", "--output", archive, tag);
      return { kind: "built", archive };
    },
    close: async () => {
      if (daemon !== undefined) await daemon.stop();
      else if (tags.length > 0) await docker("rmi", "--force", ...tags);
    },
  };
}

/** A client that was unpacked somewhere has its plugins beside it. */
function clientConfig({ docker }: DockerChoice): object {
  const plugins = join(dirname(dirname(docker)), "libexec/docker/cli-plugins");
  return existsSync(plugins) ? { cliPluginsExtraDirs: [plugins] } : {};
}

/** The daemon's host, and the call that ends it. */
async function startDockerd({ dockerd = "", flags = [], folder }: DockerChoice): Promise<{
  readonly host: string;
  stop(): Promise<void>;
}> {
  const socket = join(folder, "docker.sock");
  const host = `unix://${socket}`;
  const stop = await startDaemon({
    program: dockerd,
    args: [
      ...["--host", host, "--pidfile", join(folder, "dockerd.pid")],
      ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
      // Steps use the host's network, so none needs to be made.
      ...["--bridge=none", "--iptables=false", "--ip6tables=false", "--userland-proxy=false"],
      ...(await ownStore(dockerd)),
      ...flags,
    ],
    // containerd and its shim are found beside a daemon that was unpacked somewhere.
    env: { PATH: `${join(dirname(dirname(dockerd)), "bin")}:${programPath()}` },
    folder,
    socket,
  });
  return { host, stop };
}

/** Only with containerd's store does a daemon merge the layers of --link and keep extended attributes. */
async function ownStore(dockerd: string): Promise<readonly string[]> {
  const version = readVersion(await execute([dockerd, "--version"]));
  return isBefore(version, firstWithStore) ? [] : ["--feature", "containerd-snapshotter=true"];
}
