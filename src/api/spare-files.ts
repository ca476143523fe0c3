import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, removeTree } from "../core/index.ts";
import type { Engine } from "./engine.ts";

/**
 * Removes what is kept only to save time and is made again when it is missing: digests of context files, what is known of
 * URLs, keys of last builds, compiled system call filters. Returns the bytes of the files. While another process is at
 * work, which may be about to read one, they stay.
 */
export async function dropSpareFiles({ store }: Engine): Promise<number> {
  const dropped = await store.tryExclusive(async () => {
    const cache = join(store.root, "cache");
    const filters = (await namesIn(cache)).filter((name) => /^seccomp-.*\.bpf$/.test(name));
    const folders = [join(store.root, "builds"), join(cache, "contexts"), join(cache, "http")];
    let bytes = 0;
    for (const path of [...folders, ...filters.map((name) => join(cache, name))]) {
      bytes += await sizeOf(path);
      await removeTree(path);
    }
    return bytes;
  });
  return dropped ?? 0;
}

async function sizeOf(path: string): Promise<number> {
  const found = await lstat(path).catch(unlessGone);
  if (found?.isDirectory() !== true) return found?.size ?? 0;
  let size = 0;
  for (const name of await namesIn(path)) size += await sizeOf(join(path, name));
  return size;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(unlessGone)) ?? [];
}

function unlessGone(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
}
