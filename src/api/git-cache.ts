import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, removeTree } from "../core/index.ts";
import type { UsageGroup } from "../local/index.ts";
import type { Engine } from "./engine.ts";

/** Where a state root keeps what it fetched from git repositories: one bare repository a remote. */
export function gitCacheOf({ store }: Pick<Engine, "store">): string {
  return join(store.root, "cache", "git");
}

/**
 * Removes the repositories; what is needed again is fetched again. Returns the bytes of their files. While another process
 * is at work, which may read them, they stay.
 */
export async function dropRepositories(engine: Engine): Promise<number> {
  const directory = gitCacheOf(engine);
  const dropped = await engine.store.tryExclusive(async () => {
    const { size } = await measure(directory);
    await removeTree(directory);
    return size;
  });
  return dropped ?? 0;
}

/** All of it can be freed. */
export async function repositoriesUsage(engine: Engine): Promise<UsageGroup> {
  const found = await listRepositories(engine);
  const size = found.reduce((sum, each) => sum + each.size, 0);
  return { total: found.length, active: 0, size, reclaimable: size };
}

/** A bare repository of one remote. */
export interface KeptRepository {
  /** What its folder is called. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** When something was last fetched into it, or asked of it. */
  readonly lastUsed: Date;
}

export async function listRepositories(engine: Engine): Promise<readonly KeptRepository[]> {
  const directory = gitCacheOf(engine);
  const entries = (await readdir(directory, { withFileTypes: true }).catch(unlessGone)) ?? [];
  const found: KeptRepository[] = [];
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    const { size, newest } = await measure(join(directory, name));
    found.push({ name, size, lastUsed: new Date(newest) });
  }
  return found;
}

/**
 * Removes some of them; returns the bytes of their files. While another process is at work, which may read them, they
 * stay.
 */
export async function removeRepositories(
  engine: Engine,
  names: ReadonlySet<string>,
): Promise<number> {
  if (names.size === 0) return 0;
  const removed = await engine.store.tryExclusive(async () => {
    let bytes = 0;
    for (const { name, size } of await listRepositories(engine)) {
      if (!names.has(name)) continue;
      await removeTree(join(gitCacheOf(engine), name));
      bytes += size;
    }
    return bytes;
  });
  return removed ?? 0;
}

/** Bytes of the files, and the newest time of all that is there, in milliseconds since the epoch. */
async function measure(
  directory: string,
): Promise<{ readonly size: number; readonly newest: number }> {
  let [size, newest] = [0, 0];
  for (const name of await namesBelow(directory)) {
    const found = await lstat(join(directory, name)).catch(unlessGone);
    if (found?.isFile() === true) size += found.size;
    newest = Math.max(newest, found?.mtimeMs ?? 0);
  }
  return { size, newest };
}

async function namesBelow(directory: string): Promise<readonly string[]> {
  return (await readdir(directory, { recursive: true }).catch(unlessGone)) ?? [];
}

/** Another process may be fetching, and git renames its files. */
function unlessGone(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
}
