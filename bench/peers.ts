import { spawnSync } from "node:child_process";

export type PeerName = "docker" | "buildah";

const probes: Readonly<Partial<Record<PeerName, readonly string[]>>> = {
  docker: ["docker", "info"],
  buildah: ["buildah", "version"],
};

/** The peers that answer, or those of `wanted` that do. */
export async function findPeers(wanted?: readonly PeerName[]): Promise<PeerName[]> {
  const names = wanted ?? (Object.keys(probes) as PeerName[]);
  return Promise.resolve(names.filter(answers));
}

function answers(name: PeerName): boolean {
  const [command = "", ...args] = probes[name] ?? ["false"];
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** The peer's command that builds `context` as `tag`; `fresh` means that nothing may come from its cache. */
export function buildCommand(
  peer: PeerName,
  options: { readonly context: string; readonly tag: string; readonly fresh: boolean },
): readonly string[] {
  const { context, tag, fresh } = options;
  const cache = fresh ? ["--no-cache"] : [];
  switch (peer) {
    case "docker":
      return ["docker", "build", "-q", "--network", "host", ...cache, "-t", tag, context];
    case "buildah": {
      // buildah caches layers only when asked to.
      const layers = fresh ? cache : ["--layers"];
      const runtime = ["--runtime", "runc", "--network", "host"];
      return ["buildah", "bud", "-q", "--jobs", "4", ...runtime, ...layers, "-t", tag, context];
    }
  }
}
