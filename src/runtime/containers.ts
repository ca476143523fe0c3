import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, writeFileAtomic, type ChainId, type Digest } from "../core/index.ts";

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

/** All containers with a readable record; the folder need not exist. */
export async function listContainers(containers: string): Promise<readonly Container[]> {
  const found: Container[] = [];
  for (const id of await readNames(containers)) {
    const container = await readContainer(join(containers, id));
    if (container !== undefined) found.push(container);
  }
  return found;
}

/** Removes a container with its files. Idempotent. */
export async function removeContainer(containers: string, id: string): Promise<void> {
  await rm(join(containers, id), { recursive: true, force: true });
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
