import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, diskFull, errnoOf, isDiskFull } from "../core/index.ts";
import type { NetworkMode, SandboxMount } from "./types.ts";

const loopbackHosts = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/** A line of /etc/hosts. */
export interface HostAddress {
  readonly name: string;
  readonly address: string;
}

/**
 * Writes /etc/hosts and /etc/resolv.conf for a sandbox into `directory` (created) and returns them as read-only mounts,
 * so that the image's own files are shadowed and nothing enters the layer. With the host's network a process gets the
 * host's names and name servers; its own name and `extraHosts` it gets in any case.
 *
 * Among names that are given twice the first line counts for most resolvers: so those that somebody asked for come first.
 * @throws DISK_FULL
 */
export function writeNetworkFiles(options: {
  readonly directory: string;
  readonly hostname: string;
  readonly network: NetworkMode;
  readonly extraHosts?: readonly HostAddress[] | undefined;
  /** Whether /etc/hostname is wanted too. */
  readonly withHostname?: boolean;
}): SandboxMount[] {
  const { directory, hostname, network, extraHosts = [] } = options;
  makeFolder(directory);
  const given = extraHosts.map(({ name, address }) => `${address}\t${name}`);
  const known = network === "host" ? readHostFile("/etc/hosts") : undefined;
  const lines = [...given, ...(known?.trimEnd().split("\n") ?? loopbackHosts)];
  const files = {
    hosts: [...lines, `127.0.0.1\t${hostname}`, ""].join("\n"),
    "resolv.conf": readHostFile("/etc/resolv.conf") ?? "",
    ...(options.withHostname === true ? { hostname: `${hostname}\n` } : {}),
  };
  const mounts: SandboxMount[] = [];
  for (const [name, content] of Object.entries(files)) {
    const source = join(directory, name);
    write(source, content);
    mounts.push({ type: "bind", source, target: `/etc/${name}`, readOnly: true });
  }
  return mounts;
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content, { mode: 0o644 });
  } catch (error) {
    throw isDiskFull(error) ? diskFull(path, error) : error;
  }
}

function readHostFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
