import { statfs } from "node:fs/promises";
import type { CacheMountEntry } from "../../store/index.ts";
import { readSize } from "../build/run/sizes.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { measureGarbage } from "../../local/index.ts";
import { rootsOf } from "../gc-roots.ts";
import { collect, withoutProtection, type PruneReport } from "../free-space.ts";
import { dropRepositories, removeRepositories, repositoriesUsage } from "../git-cache.ts";
import { dropSpareFiles, measureSpareFiles } from "../spare-files.ts";
import { parseCacheFilters, unusedFor, type CacheFilter } from "./cache-filter.ts";
import type { CacheItem } from "./cache-item.ts";
import { choosePruned, ownSize, type SpaceLimits } from "./choose-pruned.ts";
import { parseAge } from "./parse-age.ts";
import { mountId, surveyCache, type CacheSurvey } from "./survey-cache.ts";

export interface PruneCacheOptions extends EngineOptions {
  /** Also what images share with the cache, and what is kept only to save time. */
  readonly all: boolean;
  /** See `parseCacheFilters`; only what passes all of them goes. */
  readonly filters?: readonly string[];
  /** Only what was not used for so long: `24h`, `7d`. */
  readonly olderThan?: string | undefined;
  /** Sizes such as `10GB`: what was used last stays, up to so much. See {@link SpaceLimits}. */
  readonly reservedSpace?: string | undefined;
  readonly maxUsedSpace?: string | undefined;
  readonly minFreeSpace?: string | undefined;
  /** Only tell. */
  readonly dryRun?: boolean;
  /** How the user says `reservedSpace`, for messages. */
  readonly reservedSpaceFlag?: string | undefined;
}

export interface PruneCacheReport extends PruneReport {
  readonly removed: readonly CacheItem[];
}

/**
 * Removes build cache: what no image shares with it, or with `all` everything; less where filters, ages and limits of
 * space say so. Images stay as they are.
 * @throws USAGE
 */
export async function pruneBuilder(options: PruneCacheOptions): Promise<PruneCacheReport> {
  const choice = readChoice(options);
  return withoutProtection(options, async (engine) => {
    const survey = await surveyCache(engine);
    const removed = await choose(engine, { survey, choice, options });
    if (options.dryRun === true) {
      const reclaimed = await measurePruned(engine, { removed, survey, choice, options });
      return { removed, reclaimed, untagged: [], deferred: false };
    }
    const bytes = choice.isSelective
      ? await removeItems(engine, removed, survey)
      : await dropBuildCache(engine, { all: options.all, survey, removed });
    return { ...(await collect(engine, { bytes, untagged: [], dangling: "keep" })), removed };
  });
}

interface Choice {
  readonly isWanted: (now: Date) => CacheFilter;
  readonly limits: SpaceLimits;
  /** Whether something is said that leaves a part of the cache alone. */
  readonly isSelective: boolean;
}

/** Before anything is opened: what cannot be read is refused at once. */
function readChoice(options: PruneCacheOptions): Choice {
  const { filters = [], olderThan, reservedSpace, maxUsedSpace, minFreeSpace } = options;
  const age = olderThan === undefined ? undefined : parseAge(olderThan, "--older-than");
  const size = (text: string | undefined, flag: string): number | undefined =>
    text === undefined ? undefined : readSize(text, flag);
  const limits = {
    reserved: size(reservedSpace, options.reservedSpaceFlag ?? "--reserved-space"),
    maxUsed: size(maxUsedSpace, "--max-used-space"),
    minFree: size(minFreeSpace, "--min-free-space"),
  };
  const isWanted = (now: Date): CacheFilter => {
    const passes = parseCacheFilters(filters, now);
    const isOld = age === undefined ? () => true : unusedFor(age, now);
    return (item) => passes(item) && isOld(item);
  };
  isWanted(new Date(0));
  const isLimited = Object.values(limits).some((limit) => limit !== undefined);
  return { isWanted, limits, isSelective: filters.length > 0 || age !== undefined || isLimited };
}

async function choose(
  { store, clock }: Engine,
  request: {
    readonly survey: CacheSurvey;
    readonly choice: Choice;
    readonly options: Pick<PruneCacheOptions, "all">;
  },
): Promise<readonly CacheItem[]> {
  const { survey, choice, options } = request;
  const isWanted = choice.isWanted(clock.now());
  const candidates = survey.items.filter(
    (item) => isWanted(item) && (options.all || !isNeededElsewhere(item, survey.layers)),
  );
  const { bavail, bsize } = await statfs(store.root);
  return choosePruned({ survey, candidates, limits: choice.limits, free: bavail * bsize });
}

/** Whether an image passes through just this state: forgetting it frees nothing but the record. */
function isNeededElsewhere({ result }: CacheItem, layers: CacheSurvey["layers"]): boolean {
  const layer = result === undefined ? undefined : layers.get(result);
  return layer?.parts.some(({ isNeeded }) => isNeeded) ?? false;
}

/** Bytes that are freed when `removed` goes, with what nobody refers to any more: that goes with every prune. */
async function measurePruned(
  engine: Engine,
  pruning: {
    readonly removed: readonly CacheItem[];
    readonly survey: CacheSurvey;
    readonly choice: Choice;
    readonly options: Pick<PruneCacheOptions, "all">;
  },
): Promise<number> {
  const { removed, survey, choice, options } = pruning;
  const keys = new Set(removed.flatMap((item) => item.keys.map(({ key }) => key)));
  const { store, snapshots } = engine;
  const roots = (): ReturnType<typeof rootsOf> => rootsOf(engine, { without: keys });
  const garbage = await measureGarbage({ store, snapshots, roots });
  const items = choice.isSelective ? removed : removed.filter(({ type }) => type === "regular");
  const own = items.reduce((sum, item) => sum + ownSize(item, survey), 0);
  return own + garbage + (choice.isSelective ? 0 : await measureRest(engine, options));
}

/** What goes beside steps where nothing is said that leaves a part of the cache alone. */
async function measureRest(engine: Engine, { all }: { readonly all: boolean }): Promise<number> {
  const swept = await engine.cache.sweep({ dryRun: true });
  const mounts = await engine.store.cacheMounts.usage();
  const repositories = await repositoriesUsage(engine);
  const spare = all ? await measureSpareFiles(engine) : 0;
  return swept.bytes + mounts.reclaimable + repositories.reclaimable + spare;
}

/** Removes cache records, repositories, and cache mounts that nobody uses; returns the bytes of their files. */
export async function dropBuildCache(
  engine: Engine,
  options: {
    readonly all: boolean;
    readonly survey?: CacheSurvey;
    readonly removed?: readonly CacheItem[];
  },
): Promise<number> {
  const { all, survey = await surveyCache(engine) } = options;
  const choice = { isWanted: () => () => true, limits: {}, isSelective: false };
  const removed = options.removed ?? (await choose(engine, { survey, choice, options: { all } }));
  const steps = removed.filter(({ type }) => type === "regular");
  const records = await removeItems(engine, steps, survey);
  const swept = await engine.cache.sweep();
  const mounts = await engine.store.cacheMounts.prune();
  const repositories = await dropRepositories(engine);
  const spare = all ? await dropSpareFiles(engine) : 0;
  return records + swept.bytes + mounts.bytes + repositories + spare;
}

/** Returns the bytes of what is gone at once; layers go with the next gc. */
async function removeItems(
  engine: Engine,
  items: readonly CacheItem[],
  survey: CacheSurvey,
): Promise<number> {
  let bytes = 0;
  for (const item of items) {
    for (const { key } of item.keys) await engine.cache.remove(key);
    if (item.keys.length > 0) bytes += ownSize(item, survey);
  }
  const named = (type: CacheItem["type"]): ReadonlySet<string> =>
    new Set(items.filter((item) => item.type === type).map(({ id }) => id));
  const mounts = named("exec.cachemount");
  const wanted = (entry: CacheMountEntry): boolean => mounts.has(mountId(entry));
  const pruned =
    mounts.size === 0 ? { bytes: 0 } : await engine.store.cacheMounts.prune({ wanted });
  const repositories = await removeRepositories(engine, named("source.git.checkout"));
  return bytes + pruned.bytes + repositories;
}
