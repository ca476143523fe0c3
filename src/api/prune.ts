import { pruneRecords, type CacheEntry } from "../cache/index.ts";
import {
  chainIdOf,
  explainSystemError,
  familiarReference,
  parseReference,
  type ChainId,
} from "../core/index.ts";
import {
  collectGarbage,
  diskUsage,
  openManifestLists,
  type GcRoot,
  type UsageGroup,
} from "../local/index.ts";
import {
  listContainers,
  readContainers,
  removeContainer,
  type Container,
} from "../runtime/index.ts";
import { dropRepositories, repositoriesUsage } from "./git-cache.ts";
import { dropSpareFiles } from "./spare-files.ts";
import { containersOf, openEngine, withEngine, type Engine, type EngineOptions } from "./engine.ts";

export interface PruneReport {
  /** Bytes that were freed. */
  readonly reclaimed: number;
  /** Familiar names that were removed. */
  readonly untagged: readonly string[];
  /** Another process is at work: what nobody refers to any more goes with a later prune. */
  readonly deferred: boolean;
}

/** Removes build cache: what no image shares with it, or with `all` everything. Images stay as they are. */
export async function pruneBuilder(
  options: EngineOptions & { readonly all: boolean },
): Promise<PruneReport> {
  return withoutProtection(options, async (engine) => {
    const bytes = await dropBuildCache(engine, { all: options.all });
    return collect(engine, { bytes, untagged: [], dangling: "keep" });
  });
}

/**
 * Removes containers that have ended, images without a name, and build cache that no image shares; with `all` also the
 * names of images that no container uses, and all build cache.
 */
export async function pruneSystem(
  options: EngineOptions & { readonly all: boolean },
): Promise<PruneReport> {
  return withoutProtection(options, async (engine) => {
    // Containers of processes that were killed are over once those are swept.
    await engine.store.sweep();
    const places = containersOf(engine);
    let bytes = 0;
    for (const container of await listContainers(places)) {
      if (container.status !== "exited") continue;
      bytes += container.size;
      await removeContainer(places.containers, container.id);
    }
    const untagged = options.all ? await untagUnused(engine) : [];
    bytes += await dropBuildCache(engine, { all: options.all });
    return collect(engine, { bytes, untagged, dangling: "remove" });
  });
}

/** gc needs the store for itself, so these verbs do not protect anything. */
async function withoutProtection<T>(
  options: EngineOptions,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(options);
  try {
    return await work(engine);
  } catch (error) {
    throw explainSystemError(error);
  } finally {
    await engine.store.close();
  }
}

async function collect(
  engine: Engine,
  sofar: {
    readonly bytes: number;
    readonly untagged: readonly string[];
    readonly dangling: "keep" | "remove";
  },
): Promise<PruneReport> {
  const { store, snapshots, clock, signal } = engine;
  const report = await collectGarbage({
    store,
    snapshots,
    roots: () => rootsOf(engine),
    dangling: sofar.dangling,
    clock,
    signal,
  });
  if (report.type === "deferred") {
    engine.progress({
      type: "warning",
      code: "PRUNE_DEFERRED",
      message: "another tsbuild process is at work: what it may need is left alone",
      hint: "prune again when it has ended",
      time: clock.now().getTime(),
    });
  }
  return {
    reclaimed: sofar.bytes + (report.type === "done" ? report.bytes : 0),
    untagged: sofar.untagged,
    deferred: report.type === "deferred",
  };
}

/** Beside names: what containers lie on, what manifest lists name, and what cache records promise. */
async function* rootsOf(engine: Engine): AsyncGenerator<GcRoot> {
  for (const container of await readContainers(containersOf(engine))) {
    yield { type: "image", id: container.imageId };
    if (container.chainId !== undefined) yield { type: "chain", chainId: container.chainId };
  }
  for (const { images } of await openManifestLists(engine.store).list()) {
    for (const { descriptor } of images) yield { type: "descriptor", descriptor };
  }
  for await (const { record } of engine.cache.list()) {
    if (record.chainId !== undefined) yield { type: "chain", chainId: record.chainId };
  }
}

/** Removes cache records, repositories, and cache mounts that nobody uses; returns the bytes of their files. */
async function dropBuildCache(engine: Engine, options: { readonly all: boolean }): Promise<number> {
  const mounts = await engine.store.cacheMounts.prune();
  const repositories = await dropRepositories(engine);
  const spare = options.all ? await dropSpareFiles(engine) : 0;
  return mounts.bytes + repositories + spare + (await dropRecords(engine, options));
}

/** Removes cache records and returns the bytes of their files. */
async function dropRecords(engine: Engine, options: { readonly all: boolean }): Promise<number> {
  const inUse = options.all ? new Set<ChainId>() : await chainsOfImages(engine);
  const isShared = ({ record }: CacheEntry): boolean =>
    record.chainId !== undefined && inUse.has(record.chainId);
  const report = await pruneRecords(engine.cache, isShared);
  const swept = await engine.cache.sweep();
  return report.bytes + swept.bytes;
}

/** Every state that some image passes through. */
async function chainsOfImages(engine: Engine): Promise<Set<ChainId>> {
  const chains = new Set<ChainId>();
  for (const { id } of await engine.images.list()) {
    const { diffIds } = (await engine.images.find(id))?.config ?? { diffIds: [] };
    diffIds.forEach((_, index) => {
      const chain = chainIdOf(diffIds.slice(0, index + 1));
      if (chain !== undefined) chains.add(chain);
    });
  }
  return chains;
}

/** Removes the names of all images that no container uses. */
async function untagUnused(engine: Engine): Promise<readonly string[]> {
  const used = new Set((await readContainers(containersOf(engine))).map(({ imageId }) => imageId));
  const summaries = await engine.images.list();
  // A multi-platform name stands for several images; it stays while one of them is used.
  const kept = new Set(summaries.filter(({ id }) => used.has(id)).flatMap(({ names }) => names));
  const all = new Set(summaries.flatMap(({ names }) => names));
  const unused = [...all].filter((name) => !kept.has(name));
  for (const name of unused) await engine.images.remove(name);
  return unused.map((name) => familiarReference(parseReference(name)));
}

/** One line of `system df`. Sizes in bytes. */
export interface UsageRow {
  readonly type: "Images" | "Containers" | "Local Volumes" | "Build Cache";
  readonly total: number;
  readonly active: number;
  readonly size: number;
  readonly reclaimable: number;
}

/** What takes up space, and what of it could be freed. */
export async function systemUsage(options: EngineOptions): Promise<readonly UsageRow[]> {
  return withEngine(options, async (engine) => {
    const { store, snapshots } = engine;
    const containers = await listContainers(containersOf(engine));
    const usage = await diskUsage({
      store,
      snapshots,
      containers: containers.map(describeContainer),
      volumes: [],
      cache: cacheSizes(engine),
    });
    const groups = [
      ["Images", usage.images],
      ["Containers", usage.containers],
      ["Local Volumes", usage.volumes],
      [
        "Build Cache",
        addUp(
          addUp(usage.buildCache, await store.cacheMounts.usage()),
          await repositoriesUsage(engine),
        ),
      ],
    ] as const;
    return groups.map(([type, { total, active, size, reclaimable }]) => ({
      type,
      total,
      active,
      size,
      reclaimable,
    }));
  });
}

/** Cache mounts and repositories are build cache too. */
function addUp(one: UsageGroup, other: UsageGroup): UsageGroup {
  return {
    total: one.total + other.total,
    active: one.active + other.active,
    size: one.size + other.size,
    reclaimable: one.reclaimable + other.reclaimable,
  };
}

async function* cacheSizes(
  engine: Engine,
): AsyncGenerator<{ readonly chainId: ChainId | undefined; readonly size: number }> {
  for await (const { record, size } of engine.cache.list()) yield { chainId: record.chainId, size };
}

function describeContainer(container: Container & { readonly size: number }): {
  readonly image: Container["imageId"];
  readonly size: number;
  readonly running: boolean;
} {
  const { imageId, size, status } = container;
  return { image: imageId, size, running: status === "running" };
}
