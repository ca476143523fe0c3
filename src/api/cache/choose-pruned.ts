import type { LayerPart } from "../../local/index.ts";
import type { CacheItem } from "./cache-item.ts";
import { layersBelow, sizeOf, type CacheSurvey } from "./survey-cache.ts";

/** How much of the cache may stay, in bytes; what is absent says nothing. */
export interface SpaceLimits {
  /** Never less than this is kept. */
  readonly reserved?: number | undefined;
  /** Never more than this is kept. */
  readonly maxUsed?: number | undefined;
  /** So much of the disk shall be free. */
  readonly minFree?: number | undefined;
}

/**
 * The items to remove so that the cache fits into its limits: those that were not used for the longest time first, and of
 * equals what stands on others. Without limits all candidates go. What images need takes no room of the cache's.
 */
export function choosePruned(request: {
  readonly survey: CacheSurvey;
  readonly candidates: readonly CacheItem[];
  readonly limits: SpaceLimits;
  /** Bytes free on the disk. */
  readonly free: number;
}): readonly CacheItem[] {
  const { survey, candidates, limits, free } = request;
  const room = new Room(survey);
  const keep = bytesToKeep(limits, { used: room.used, free });
  const ordered = oldestFirst(candidates, survey);
  if (keep === undefined) return ordered;
  const chosen: CacheItem[] = [];
  for (const item of ordered) {
    if (room.used <= keep) break;
    room.remove(item);
    chosen.push(item);
  }
  return chosen;
}

/** undefined where nothing is said about it. */
function bytesToKeep(
  { reserved, maxUsed, minFree }: SpaceLimits,
  { used, free }: { readonly used: number; readonly free: number },
): number | undefined {
  // Alone it says how much may stay.
  if (maxUsed === undefined && minFree === undefined) return reserved;
  const roomLeft = minFree === undefined ? Infinity : used - Math.max(0, minFree - free);
  return Math.max(Math.min(maxUsed ?? Infinity, roomLeft), reserved ?? 0);
}

function oldestFirst(
  candidates: readonly CacheItem[],
  { layers }: CacheSurvey,
): readonly CacheItem[] {
  return candidates
    .map((item) => ({ item, depth: layersBelow(item, layers).length }))
    .sort(
      (a, b) =>
        (a.item.lastUsed ?? "").localeCompare(b.item.lastUsed ?? "") ||
        b.depth - a.depth ||
        a.item.id.localeCompare(b.item.id),
    )
    .map(({ item }) => item);
}

/** What the items of a survey take up together, while one after the other goes. */
class Room {
  used = 0;
  readonly #survey: CacheSurvey;
  /** How many items need a part. */
  readonly #users = new Map<string, number>();

  constructor(survey: CacheSurvey) {
    this.#survey = survey;
    for (const item of survey.items) {
      this.used += ownSize(item, survey);
      for (const part of this.#partsOf(item)) {
        const users = this.#users.get(part.id) ?? 0;
        if (users === 0) this.used += part.size;
        this.#users.set(part.id, users + 1);
      }
    }
  }

  remove(item: CacheItem): void {
    this.used -= ownSize(item, this.#survey);
    for (const part of this.#partsOf(item)) {
      const users = (this.#users.get(part.id) ?? 0) - 1;
      if (users === 0) this.used -= part.size;
      this.#users.set(part.id, users);
    }
  }

  /** What the cache alone keeps of the layers that it stands on. */
  #partsOf(item: CacheItem): readonly LayerPart[] {
    const parts = layersBelow(item, this.#survey.layers).flatMap((layer) => layer.parts);
    return parts.filter(({ isNeeded }) => !isNeeded);
  }
}

/** Bytes of an item beside its layers: records, or all of what is no step. */
export function ownSize(item: CacheItem, { layers }: CacheSurvey): number {
  const layer = item.result === undefined ? undefined : layers.get(item.result);
  return item.size - sizeOf(layer?.parts ?? []);
}

/** What a survey takes up: each part once. Bytes. */
export interface CacheTotals {
  /** What images and containers need too. */
  readonly shared: number;
  /** What only the cache needs: pruning all of it frees so much. */
  readonly private: number;
  readonly total: number;
}

/** `total` counts the layers below each step too, since the cache keeps these. */
export function totalsOf(survey: CacheSurvey): CacheTotals {
  const shared = new Map<string, number>();
  for (const item of survey.items) {
    for (const { parts } of layersBelow(item, survey.layers)) {
      for (const { id, size, isNeeded } of parts) if (isNeeded) shared.set(id, size);
    }
  }
  const own = new Room(survey).used;
  const others = [...shared.values()].reduce((sum, size) => sum + size, 0);
  return { shared: others, private: own, total: own + others };
}
