import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diskFull, errnoOf, isDiskFull } from "../core/index.ts";
import type { NetworkMode, SandboxMount } from "./types.ts";

const loopbackHosts = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/**
 * Writes /etc/hosts and /etc/resolv.conf for a sandbox into `directory` (created) and returns them as read-only mounts,
 * so that the image's own files are shadowed and nothing enters the layer. With the host's network a process gets the
 * host's names and name servers; without a network only its own name.
 * @throws DISK_FULL
 */
export async function writeNetworkFiles(options: {
  readonly directory: string;
  readonly hostname: string;
  readonly network: NetworkMode;
}): Promise<SandboxMount[]> {
  const { directory, hostname, network } = options;
  await mkdir(directory, { recursive: true });
  const ownName = `127.0.0.1\t${hostname}`;
  const hosts =
    (network === "host" ? await readHostFile("/etc/hosts") : undefined) ??
    `${[...loopbackHosts, ownName].join("\n")}\n`;
  const files = {
    hosts,
    "resolv.conf": (await readHostFile("/etc/resolv.conf")) ?? "",
  };
  const mounts: SandboxMount[] = [];
  for (const [name, content] of Object.entries(files)) {
    const source = join(directory, name);
    await write(source, content);
    mounts.push({ type: "bind", source, target: `/etc/${name}`, readOnly: true });
  }
  return mounts;
}

async function write(path: string, content: string): Promise<void> {
  try {
    await writeFile(path, content, { mode: 0o644 });
  } catch (error) {
    throw isDiskFull(error) ? diskFull(path, error) : error;
  }
}

async function readHostFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
