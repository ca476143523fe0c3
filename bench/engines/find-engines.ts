import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { buildahEngine, podmanEngine } from "./containers.ts";
import { dockerEngine } from "./docker.ts";
import type { Argv, Engine, EngineName } from "./engine.ts";
import { tsbuildEngine } from "./tsbuild.ts";

export type PeerName = Exclude<EngineName, "tsbuild">;

export const peerNames: readonly PeerName[] = ["docker", "buildah", "podman"];

const probes: Readonly<Record<PeerName, (program: string) => Argv>> = {
  docker: (docker) => [docker, "info", "--format", "{{.ServerVersion}}"],
  buildah: (buildah) => [buildah, "--version"],
  podman: (podman) => [podman, "--version"],
};

/**
 * tsbuild, and those of `wanted` (default: all peers) that answer.
 *
 * @throws when a peer that was asked for by name does not
 */
export function findEngines(options: {
  /** Folder for the stores of those that can have one of their own. */
  readonly folder: string;
  readonly wanted?: readonly PeerName[];
  /** Docker's client, when it is not the one in $PATH. */
  readonly docker?: string;
}): readonly Engine[] {
  const { wanted, docker = "docker", folder } = options;
  const peers = (wanted ?? peerNames).flatMap((name) => {
    const probe = probes[name](name === "docker" ? docker : name);
    const version = versionOf(probe);
    if (version !== undefined) return [open(name, { folder, docker, version })];
    if (wanted === undefined) return [];
    throw new Error(`${name} does not answer: ${probe.join(" ")} fails`);
  });
  const { version } = JSON.parse(readFileSync(resolve("package.json"), "utf8")) as {
    version: string;
  };
  return [tsbuildEngine(join(folder, "tsbuild"), version), ...peers];
}

function versionOf([command = "", ...args]: Argv): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] : undefined;
}

function open(
  name: PeerName,
  found: { readonly folder: string; readonly docker: string; readonly version: string },
): Engine {
  const { folder, docker, version } = found;
  switch (name) {
    case "docker":
      return dockerEngine(docker, version);
    case "buildah":
      return buildahEngine(join(folder, "buildah"), version);
    case "podman":
      return podmanEngine(join(folder, "podman"), version);
  }
}
