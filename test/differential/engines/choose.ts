import { accessSync, constants } from "node:fs";
import { delimiter, join, dirname } from "node:path";
import { openBuildah } from "./buildah.ts";
import { openBuildkit } from "./buildkit.ts";
import { openDocker } from "./docker.ts";
import type { Engine } from "./engine.ts";

/** An engine that can be opened, or why there is none. */
export type EngineChoice =
  | { readonly engine: Engine["name"]; open(folder: string): Promise<Engine> }
  | { readonly missing: string };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The reference that $TSBUILD_DIFF_ENGINE names: `buildkit`, `docker`, `buildah` (when it is not set), or `auto` for the
 * first of them that is there.
 * buildkit is a daemon of the suite's own: $TSBUILD_DIFF_BUILDKITD or the installed one.
 * docker means $DOCKER_HOST when that is set, else a daemon of its own: $TSBUILD_DIFF_DOCKERD or the installed one.
 */
export function chooseEngine(environment: Environment): EngineChoice {
  const wanted = environment["TSBUILD_DIFF_ENGINE"] ?? "buildah";
  switch (wanted) {
    case "buildkit":
      return chooseBuildkit(environment);
    case "docker":
      return chooseDocker(environment);
    case "buildah":
      return chooseBuildah(environment);
    case "auto": {
      const buildkit = chooseBuildkit(environment);
      if (!("missing" in buildkit)) return buildkit;
      const docker = chooseDocker(environment);
      if (!("missing" in docker)) return docker;
      const buildah = chooseBuildah(environment);
      if (!("missing" in buildah)) return buildah;
      return { missing: `${buildkit.missing}; ${docker.missing}; ${buildah.missing}` };
    }
    default:
      throw new Error(`TSBUILD_DIFF_ENGINE is "${wanted}", not buildkit, docker, buildah or auto`);
  }
}

function chooseDocker(environment: Environment): EngineChoice {
  const host = environment["DOCKER_HOST"];
  const started = environment["TSBUILD_DIFF_DOCKERD"] ?? findProgram("dockerd", environment);
  const dockerd = host === undefined || host === "" ? started : undefined;
  if (dockerd === undefined && (host ?? "") === "") {
    return { missing: "no docker: neither DOCKER_HOST nor dockerd (Debian package docker.io)" };
  }
  if (dockerd !== undefined && process.getuid?.() !== 0) {
    return { missing: "dockerd needs root" };
  }
  const docker =
    environment["TSBUILD_DIFF_DOCKER"] ??
    (dockerd === undefined ? undefined : beside(dockerd)) ??
    findProgram("docker", environment);
  if (docker === undefined) return { missing: "no docker: the client is missing" };
  const flags = (environment["TSBUILD_DIFF_DOCKERD_FLAGS"] ?? "").split(" ").filter(Boolean);
  return {
    engine: "docker",
    open: async (folder) =>
      openDocker({ docker, folder, flags, ...(dockerd === undefined ? {} : { dockerd }) }),
  };
}

function chooseBuildkit(environment: Environment): EngineChoice {
  if (process.getuid?.() !== 0) return { missing: "buildkitd needs root" };
  const buildkitd = environment["TSBUILD_DIFF_BUILDKITD"] ?? findProgram("buildkitd", environment);
  if (buildkitd === undefined) return { missing: "no buildkitd" };
  const buildx = environment["TSBUILD_DIFF_BUILDX"] ?? findPlugin(environment);
  if (buildx === undefined) return { missing: "no docker-buildx (Debian package docker-buildx)" };
  return {
    engine: "buildkit",
    open: async (folder) => openBuildkit({ buildkitd, buildx, folder }),
  };
}

function chooseBuildah(environment: Environment): EngineChoice {
  if (process.getuid?.() !== 0) return { missing: "buildah needs root here" };
  const buildah = environment["TSBUILD_DIFF_BUILDAH"] ?? findProgram("buildah", environment);
  if (buildah === undefined) return { missing: "no buildah (Debian package buildah)" };
  return { engine: "buildah", open: async (folder) => openBuildah({ buildah, folder }) };
}

/** The client of the same installation: /usr/sbin/dockerd has /usr/bin/docker. */
function beside(dockerd: string): string | undefined {
  const docker = join(dirname(dirname(dockerd)), "bin/docker");
  return isExecutable(docker) ? docker : undefined;
}

/** buildx as Debian installs it, or as a program of its own. */
function findPlugin(environment: Environment): string | undefined {
  const plugin = "/usr/libexec/docker/cli-plugins/docker-buildx";
  return isExecutable(plugin) ? plugin : findProgram("docker-buildx", environment);
}

function findProgram(name: string, environment: Environment): string | undefined {
  const folders = [...(environment["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
