import { withEngine, type EngineOptions } from "../engine.ts";
import { parseCacheFilters } from "./cache-filter.ts";
import type { CacheItem } from "./cache-item.ts";
import { totalsOf, type CacheTotals } from "./choose-pruned.ts";
import { surveyCache } from "./survey-cache.ts";

/** What the build cache keeps. */
export interface CacheListing {
  /** Used most recently first. */
  readonly items: readonly CacheItem[];
  /** Of all that is listed, each layer counted once. */
  readonly totals: CacheTotals;
}

/** Lists the build cache: steps with what they came to, cache mounts, repositories. @throws USAGE for a filter */
export async function listCache(
  options: EngineOptions & { readonly filters?: readonly string[] },
): Promise<CacheListing> {
  return withEngine(options, async (engine) => {
    const isWanted = parseCacheFilters(options.filters ?? [], engine.clock.now());
    const survey = await surveyCache(engine);
    const items = survey.items.filter(isWanted);
    return { items, totals: totalsOf({ ...survey, items }) };
  });
}
