import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { writeNetworkFiles, type HostAddress, type SandboxMount } from "../../sandbox/index.ts";
import type { BuildEnvironment } from "../environment.ts";

interface NetworkSettings {
  readonly hostname: string;
  readonly network: "none" | "host";
  readonly extraHosts?: readonly HostAddress[] | undefined;
}

/** By store, so that they go with the folder of the process that they lie in. */
const written = new WeakMap<BuildEnvironment["store"], Map<string, SandboxMount[]>>();

/**
 * /etc/hosts and /etc/resolv.conf for a step. They are mounted read-only, so all steps with the same settings share
 * them, until the host's own change: most builds write them once.
 * @throws DISK_FULL
 */
export function networkFiles(
  { store }: Pick<BuildEnvironment, "store">,
  settings: NetworkSettings,
): SandboxMount[] {
  const { hostname, network, extraHosts } = settings;
  const files = written.get(store) ?? new Map<string, SandboxMount[]>();
  written.set(store, files);
  const versions = ["/etc/hosts", "/etc/resolv.conf"].map(versionOf);
  const key = JSON.stringify([hostname, network, extraHosts, versions]);
  const known = files.get(key);
  if (known !== undefined) return known;
  const directory = join(store.tmpDir, `etc-${randomBytes(6).toString("hex")}`);
  const made = writeNetworkFiles({ directory, ...settings });
  files.set(key, made);
  return made;
}

function versionOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? "" : [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(" ");
}
