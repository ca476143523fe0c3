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
  const directory = gitCacheOf(engine);
  const { size } = await measure(directory);
  const names = size === 0 ? [] : await readdir(directory, { withFileTypes: true });
  const total = names.filter((entry) => entry.isDirectory()).length;
  return { total, active: 0, size, reclaimable: size };
}

async function measure(directory: string): Promise<{ readonly size: number }> {
  let size = 0;
  for (const name of await namesBelow(directory)) {
    const found = await lstat(join(directory, name)).catch(unlessGone);
    if (found?.isFile() === true) size += found.size;
  }
  return { size };
}

async function namesBelow(directory: string): Promise<readonly string[]> {
  return (await readdir(directory, { recursive: true }).catch(unlessGone)) ?? [];
}

/** Another process may be fetching, and git renames its files. */
function unlessGone(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
}
