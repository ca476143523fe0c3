import type { Digest } from "../core/index.ts";
import type { MountRecord, MountSet } from "./types.ts";

/** So many small packs may be there: each export of a change leaves one. */
const smallPacksAtMost = 16;

/**
 * Packs that are not worth keeping: less than half of them is used any more, or they are small and many. What is used of them
 * goes into new ones.
 */
export function findWornPacks(set: MountSet, packSize: number): ReadonlySet<Digest> {
  const used = usedBytes(set);
  const worn = new Set<Digest>();
  const small: Digest[] = [];
  for (const [digest, bytes] of used) {
    const size = set.packs.get(digest)?.size ?? 0;
    if (bytes * 2 < size) worn.add(digest);
    else if (size * 4 < packSize) small.push(digest);
  }
  if (small.length > smallPacksAtMost) for (const digest of small) worn.add(digest);
  return worn;
}

function usedBytes({ mounts, chunks }: MountSet): ReadonlyMap<Digest, number> {
  const used = new Map<Digest, number>();
  for (const digest of new Set(mounts.flatMap(chunksOf))) {
    const place = chunks.get(digest);
    if (place !== undefined) used.set(place.pack, (used.get(place.pack) ?? 0) + place.stored);
  }
  return used;
}

/** In the order in which they are written and read. */
export function chunksOf({ catalogue, contents }: MountRecord): readonly Digest[] {
  return [...catalogue, ...contents];
}
