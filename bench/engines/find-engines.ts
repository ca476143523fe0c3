import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { buildahEngine, podmanEngine } from "./containers.ts";
import { dockerEngine } from "./docker.ts";
import type { Argv, Engine, EngineName } from "./engine.ts";
import { tsbuildEngine } from "./tsbuild.ts";

export type PeerName = Exclude<EngineName, "tsbuild">;

export const peerNames: readonly PeerName[] = ["docker", "buildah", "podman"];

const probes: Readonly<Record<PeerName, Argv>> = {
  docker: ["docker", "info", "--format", "{{.ServerVersion}}"],
  buildah: ["buildah", "--version"],
  podman: ["podman", "--version"],
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
}): readonly Engine[] {
  const peers = (options.wanted ?? peerNames).flatMap((name) => {
    const version = versionOf(name);
    if (version !== undefined) return [open(name, options.folder, version)];
    if (options.wanted === undefined) return [];
    throw new Error(`${name} does not answer: ${probes[name].join(" ")} fails`);
  });
  const { version } = JSON.parse(readFileSync(resolve("package.json"), "utf8")) as {
    version: string;
  };
  return [tsbuildEngine(join(options.folder, "tsbuild"), version), ...peers];
}

function versionOf(name: PeerName): string | undefined {
  const [command = "", ...args] = probes[name];
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] : undefined;
}

function open(name: PeerName, folder: string, version: string): Engine {
  switch (name) {
    case "docker":
      return dockerEngine(version);
    case "buildah":
      return buildahEngine(join(folder, "buildah"), version);
    case "podman":
      return podmanEngine(join(folder, "podman"), version);
  }
}
