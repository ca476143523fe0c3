import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, removeTree } from "../core/index.ts";
import type { Engine } from "./engine.ts";

/** So many records of last builds stay, the newest ones: without them the next build calls everything new. */
const keptBuilds = 100;

/**
 * Removes what is kept only to save time and is made again when it is missing: digests of context files, what is known of
 * URLs, compiled system call filters, and all but the newest records of last builds. Returns the bytes of the files. While
 * another process is at work, which may be about to read one, they stay.
 */
export async function dropSpareFiles(engine: Engine): Promise<number> {
  const dropped = await engine.store.tryExclusive(async () => {
    let bytes = 0;
    for (const path of await spareFiles(engine)) {
      bytes += await sizeOf(path);
      await removeTree(path);
    }
    return bytes;
  });
  return dropped ?? 0;
}

/** Bytes that {@link dropSpareFiles} would free. */
export async function measureSpareFiles(engine: Engine): Promise<number> {
  let bytes = 0;
  for (const path of await spareFiles(engine)) bytes += await sizeOf(path);
  return bytes;
}

async function spareFiles({ store }: Engine): Promise<readonly string[]> {
  const cache = join(store.root, "cache");
  const filters = (await namesIn(cache)).filter((name) => /^seccomp-.*\.bpf$/.test(name));
  const folders = [join(cache, "contexts"), join(cache, "http")];
  const builds = await oldestOf(join(store.root, "builds"), { but: keptBuilds });
  return [...folders, ...builds, ...filters.map((name) => join(cache, name))];
}

/** Paths of the files of a folder without the newest ones. */
async function oldestOf(
  folder: string,
  { but }: { readonly but: number },
): Promise<readonly string[]> {
  const files: { readonly path: string; readonly time: number }[] = [];
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    const found = await lstat(path).catch(unlessGone);
    if (found !== undefined) files.push({ path, time: found.mtimeMs });
  }
  return files
    .sort((a, b) => b.time - a.time)
    .slice(but)
    .map(({ path }) => path);
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
