import { spawnSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { buildCommand, type PeerName } from "./peers.ts";

const cli = resolve("bin/tsbuild.js");

/** A temporary folder with a state root for tsbuild and the base image `bench-base` in every contestant's store. */
export interface BenchWorkspace {
  readonly directory: string;
  tsbuild(args: readonly string[]): readonly string[];
  /** Writes files and returns the folder. */
  context(name: string, files: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
}

export async function openBenchWorkspace(peers: readonly PeerName[]): Promise<BenchWorkspace> {
  const directory = await mkdtemp(join(tmpdir(), "tsbuild-bench-"));
  const root = join(directory, "root");
  const workspace: BenchWorkspace = {
    directory,
    tsbuild: (args) => [process.execPath, cli, "--root", root, ...args],
    context: async (name, files) => {
      const context = join(directory, name);
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(context, path)), { recursive: true });
        await writeFile(join(context, path), content);
      }
      return context;
    },
    close: () => rm(directory, { recursive: true, force: true }),
  };
  const base = await workspace.context("base", {
    Dockerfile: "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n",
  });
  await copyFile("/bin/busybox", join(base, "busybox"));
  const options = { context: base, tag: "bench-base:1", fresh: false };
  execute(workspace.tsbuild(["build", "-q", "-t", options.tag, base]));
  for (const peer of peers) execute(buildCommand(peer, options));
  return workspace;
}

/** Runs a command to its end. @throws with its output when it fails */
export function execute(argv: readonly string[]): void {
  const [command = "", ...args] = argv;
  const env = { ...process.env };
  delete env["NODE_EXTRA_CA_CERTS"];
  const result = spawnSync(command, args, { env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) {
    throw new Error(`${argv.join(" ")} ended with ${String(result.status)}\n${result.stderr}`);
  }
}
