import type { Digest } from "../core/index.ts";
import type { Cache, CacheEntry } from "./types.ts";

/** What `pruneRecords` removed. */
export interface PruneReport {
  readonly removed: readonly Digest[];
  /** Size of the record files, in bytes; the layers they named go with the next gc. */
  readonly bytes: number;
  /** Records that stayed: roots of gc. */
  readonly kept: readonly CacheEntry[];
}

/** Removes every record that `keep` does not want. Works on any cache; others may use it meanwhile. */
export async function pruneRecords(
  cache: Cache,
  keep: (entry: CacheEntry) => boolean | Promise<boolean>,
): Promise<PruneReport> {
  const removed: Digest[] = [];
  const kept: CacheEntry[] = [];
  let bytes = 0;
  for await (const entry of cache.list()) {
    if (await keep(entry)) {
      kept.push(entry);
      continue;
    }
    await cache.remove(entry.key);
    removed.push(entry.key);
    bytes += entry.size;
  }
  return { removed, bytes, kept };
}
