import { join } from "node:path";
import type { Argv, Engine } from "./engine.ts";

/**
 * buildah and podman with a store of their own in `folder`. They are the same code; podman also runs images. runc,
 * because crun of Debian 12 refuses hosts with both versions of control groups.
 */
export function buildahEngine(folder: string, version: string): Engine {
  const buildah = ["buildah", ...storage(folder)];
  return {
    name: "buildah",
    version,
    build: (options) => [...buildah, "bud", ...buildFlags(options)],
    exportCache: ({ cache, ...options }) => [
      ...[...buildah, "bud", "--tls-verify=false", "--cache-to", cache],
      ...buildFlags({ ...options, fresh: false }),
    ],
    importCache: ({ cache, ...options }) => [
      ...[...buildah, "bud", "--tls-verify=false", "--cache-from", cache],
      ...buildFlags({ ...options, fresh: false }),
    ],
    push: (image) => [...buildah, "push", "-q", "--tls-verify=false", image],
    pull: (image) => [...buildah, "pull", "-q", "--tls-verify=false", image],
    save: (image, file) => [...buildah, "push", "-q", image, `docker-archive:${file}:${image}`],
    load: (file) => [...buildah, "pull", "-q", `docker-archive:${file}`],
    remove: (image) => [...buildah, "rmi", "--force", image],
    prune: [[...buildah, "rmi", "--prune", "--force"]],
  };
}

/** @see buildahEngine */
export function podmanEngine(folder: string, version: string): Engine {
  const podman = ["podman", ...storage(folder), "--runtime", "runc", "--cgroup-manager=cgroupfs"];
  return {
    name: "podman",
    version,
    build: (options) => [...podman, "build", ...buildFlags(options)],
    run: (image, command) => [
      ...[...podman, "run", "--rm", "--quiet", "--tls-verify=false", "--network", "host"],
      // Its own limits are above those that root may set in many containers and virtual machines.
      ...["--ulimit", "host", image],
      ...command,
    ],
    push: (image) => [...podman, "push", "-q", "--tls-verify=false", image],
    pull: (image) => [...podman, "pull", "-q", "--tls-verify=false", image],
    save: (image, file) => [...podman, "save", "-q", "-o", file, image],
    load: (file) => [...podman, "load", "-q", "-i", file],
    remove: (image) => [...podman, "rmi", "--force", image],
    prune: [[...podman, "image", "prune", "--force"]],
  };
}

function storage(folder: string): Argv {
  return ["--root", join(folder, "storage"), "--runroot", join(folder, "run")];
}

function buildFlags(options: { context: string; tag: string; fresh: boolean }): Argv {
  const { context, tag, fresh } = options;
  // They cache layers only when asked to.
  const cache = fresh ? ["--no-cache"] : ["--layers"];
  const flags = ["-q", "--jobs", "4", "--runtime", "runc", "--network", "host"];
  return [...flags, ...cache, "-t", tag, context];
}
