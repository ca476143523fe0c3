import type { Dirent } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, removeTree, writeFileAtomic, type ChainId, type Digest } from "../core/index.ts";

/** What is written down about a container, in `containers/<id>/container.json`. */
export interface Container {
  /** 64 hex digits. */
  readonly id: string;
  /** The image as the caller named it. */
  readonly image: string;
  readonly imageId: Digest;
  /** The stack that its own changes lie on. */
  readonly chainId: ChainId | undefined;
  readonly command: readonly string[];
  /** ISO time. */
  readonly created: string;
  readonly status: "running" | "exited";
  /** Name of the folder in the store's `tmp/` that belongs to the process which runs it, and goes away with that. */
  readonly owner?: string;
  readonly exitCode?: number;
}

const fileName = "container.json";

/** Replaces the record by rename. `tmpDir` lies on the same filesystem. */
export async function writeContainer(
  directory: string,
  record: { readonly container: Container; readonly tmpDir: string },
): Promise<void> {
  await writeFileAtomic({
    path: join(directory, fileName),
    tmpDir: record.tmpDir,
    content: `${JSON.stringify(record.container)}\n`,
  });
}

/** Where containers are written down, and where one sees which tsbuild processes live. */
export interface ContainerPlaces {
  /** The folder of all containers; it need not exist. */
  readonly containers: string;
  /** The store's `tmp/`. */
  readonly tmp: string;
}

/**
 * All containers with a readable record. A container never outlives the process that runs it, so one whose owner is
 * gone has ended, even when nobody was left to write that down.
 */
export async function readContainers(places: ContainerPlaces): Promise<readonly Container[]> {
  const found: Container[] = [];
  for (const id of await readNames(places.containers)) {
    const container = await readContainer(join(places.containers, id));
    if (container === undefined) continue;
    const isOver = container.status === "running" && !(await isAlive(container, places));
    found.push(isOver ? { ...container, status: "exited" } : container);
  }
  return found;
}

/** The same with the bytes that each container wrote. */
export async function listContainers(
  places: ContainerPlaces,
): Promise<readonly (Container & { readonly size: number })[]> {
  const found = [];
  for (const container of await readContainers(places)) {
    const size = await sizeOfTree(Buffer.from(join(places.containers, container.id)));
    found.push({ ...container, size });
  }
  return found;
}

async function isAlive({ owner }: Container, { tmp }: ContainerPlaces): Promise<boolean> {
  if (owner === undefined) return false;
  try {
    await lstat(join(tmp, owner));
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Names of container files need not be UTF-8; `readdir` cannot be recursive and give Buffers at once. */
async function sizeOfTree(path: Buffer): Promise<number> {
  let size = 0;
  for (const entry of await readEntries(path)) {
    const child = Buffer.concat([path, Buffer.from("/"), entry.name]);
    if (entry.isDirectory()) size += await sizeOfTree(child);
    else if (entry.isFile()) size += await sizeOfFile(child);
  }
  return size;
}

async function readEntries(path: Buffer): Promise<Dirent<Buffer>[]> {
  try {
    return await readdir(path, { withFileTypes: true, encoding: "buffer" });
  } catch (error) {
    // A running container removes files while we look.
    if (isGone(error)) return [];
    throw error;
  }
}

async function sizeOfFile(path: Buffer): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "");
}

/** Removes a container with its files. Idempotent. */
export async function removeContainer(containers: string, id: string): Promise<void> {
  await removeTree(join(containers, id));
}

async function readContainer(directory: string): Promise<Container | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, fileName), "utf8")) as Container;
  } catch {
    // Being created, being removed, or cut off by a crash: not a container.
    return undefined;
  }
}

async function readNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
