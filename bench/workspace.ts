import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type RegistryProcess, startRegistryProcess } from "../test/support/registry-process.ts";
import { findEngines, type PeerName } from "./engines/find-engines.ts";
import type { Engine } from "./engines/engine.ts";
import { CommandFailed, execute } from "./measure/run-command.ts";
import { type DockerDaemon, findDocker, startDocker } from "./place/docker-daemon.ts";
import { mountDisk, trimDisk } from "./place/private-place.ts";

/** Busybox and a shell; in every contestant's store. */
export const smallBase = "bench-base:1";

/** A temporary folder for inputs and stores. Everything that is made or started through it is gone after `close`. */
export interface Workspace {
  readonly directory: string;
  /** tsbuild first, then the peers. */
  readonly engines: readonly Engine[];
  readonly signal: AbortSignal;
  /** A new empty folder. */
  folder(name: string): Promise<string>;
  /** Writes files into a new folder. */
  context(name: string, files: Readonly<Record<string, string>>): Promise<string>;
  /**
   * Builds a context with tsbuild and hands the image to every peer. The second call for the same name does nothing.
   *
   * @param context gives the folder; it may be removed afterwards
   */
  image(name: string, context: () => Promise<string>): Promise<void>;
  /** What `make` gives; later calls with the same key get the same, so that rows can share an input. */
  once<Made>(key: string, make: () => Promise<Made>): Promise<Made>;
  /** Host and port of a registry of this workspace. */
  registry(): Promise<string>;
  /** Lets every contestant forget what no name holds, so that the rows before cost the next one nothing. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/** Where stores and inputs lie. */
interface Ground {
  readonly directory: string;
  /** A disk and a daemon of our own: they go with the process. */
  readonly daemon?: DockerDaemon;
  readonly docker?: string;
  readonly isOwnDisk: boolean;
}

export interface WorkspaceOptions {
  readonly peers?: readonly PeerName[];
  /** Folder with the unpacked packages of docker; without it the programs in $PATH. */
  readonly docker?: string;
  /** The folder of a process that has mounts and processes of its own (`runInPrivatePlace`). */
  readonly place?: string;
  readonly signal: AbortSignal;
}

/** @throws when a peer that was asked for does not answer */
export async function openWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const ground = await findGround(options);
  try {
    return await openOn(ground, options);
  } catch (error) {
    await leave(ground);
    throw error;
  }
}

async function openOn(ground: Ground, options: WorkspaceOptions): Promise<Workspace> {
  const { directory, daemon, docker } = ground;
  const engines = findEngines({
    folder: directory,
    ...(options.peers && { wanted: options.peers }),
    ...(docker !== undefined && { docker }),
  });
  const images = new Set<string>();
  const made = new Map<string, Promise<unknown>>();
  let registry: RegistryProcess | undefined;
  const workspace: Workspace = {
    directory,
    engines,
    signal: options.signal,
    folder: async (name) => {
      const path = join(directory, "inputs", name);
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { recursive: true });
      return path;
    },
    context: async (name, files) => {
      const context = await workspace.folder(name);
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(context, path)), { recursive: true });
        await writeFile(join(context, path), content);
      }
      return context;
    },
    image: async (name, context) => {
      if (images.has(name)) return;
      await distribute(name, { workspace, context: await context() });
      images.add(name);
    },
    once: async <Made>(key: string, make: () => Promise<Made>) => {
      const known = made.get(key) ?? make();
      made.set(key, known);
      return known as Promise<Made>;
    },
    registry: async () => (registry ??= await startRegistryProcess()).host,
    tidy: async () => {
      for (const { prune } of engines) {
        for (const command of prune) await execute(command, options.signal);
      }
      if (ground.isOwnDisk) await trimDisk(directory);
    },
    close: async () => {
      await registry?.stop();
      if (daemon === undefined) await forgetImages(engines, images);
      await leave(ground);
    },
  };
  try {
    await workspace.image(smallBase, async () => smallContext(workspace));
  } catch (error) {
    await workspace.close();
    throw error;
  }
  return workspace;
}

/** The own disk and daemon where there can be some, else `$TMPDIR` and the daemon that answers. */
async function findGround({ place, docker, peers, signal }: WorkspaceOptions): Promise<Ground> {
  const directory =
    place === undefined ? await mkdtemp(join(tmpdir(), "tsbuild-bench-")) : await mountDisk(place);
  const isOwnDisk = place !== undefined;
  // What the registry and others make for themselves shall lie there, too.
  process.env["TMPDIR"] = directory;
  const isWanted = peers === undefined || peers.includes("docker");
  const programs = isOwnDisk && isWanted ? findDocker(docker) : undefined;
  if (programs === undefined) return { directory, isOwnDisk };
  const daemon = await startDocker(programs, { directory: join(directory, "docker"), signal });
  Object.assign(process.env, daemon.environment);
  return { directory, isOwnDisk, daemon, docker: programs.docker };
}

async function leave({ daemon, directory, isOwnDisk }: Ground): Promise<void> {
  await daemon?.stop();
  if (!isOwnDisk) await rm(directory, { recursive: true, force: true });
}

async function smallContext(workspace: Workspace): Promise<string> {
  const dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n";
  const context = await workspace.context("small-base", { Dockerfile: dockerfile });
  await copyFile("/bin/busybox", join(context, "busybox"));
  return context;
}

async function distribute(
  tag: string,
  { workspace, context }: { readonly workspace: Workspace; readonly context: string },
): Promise<void> {
  const [tsbuild, ...peers] = workspace.engines;
  if (tsbuild === undefined) throw new Error("no engine");
  await execute(tsbuild.build({ context, tag, fresh: false }), workspace.signal);
  if (peers.length === 0) return;
  const archive = join(workspace.directory, "image.tar");
  await execute(tsbuild.save(tag, archive), workspace.signal);
  for (const peer of peers) await execute(peer.load(archive), workspace.signal);
  await rm(archive);
}

/** Stores outside of the workspace's folder are only docker's; what it built goes with its next prune. */
async function forgetImages(engines: readonly Engine[], images: Iterable<string>): Promise<void> {
  const docker = engines.find(({ name }) => name === "docker");
  if (docker === undefined) return;
  for (const image of images) {
    try {
      await execute(docker.remove(image));
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      console.error(`left behind in docker: ${image}: ${error.message}`);
    }
  }
}
