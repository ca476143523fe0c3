import { familiarReference, isTsbuildError, parseReference, type ChainId } from "../core/index.ts";
import { diskUsage, type ImageRemoval, type UsageGroup } from "../local/index.ts";
import {
  listContainers,
  readContainers,
  removeContainer,
  type Container,
} from "../runtime/index.ts";
import { dropBuildCache } from "./cache/prune-cache.ts";
import { containersOf, withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { collect, withoutProtection, type PruneReport } from "./free-space.ts";
import { repositoriesUsage } from "./git-cache.ts";

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

/** Removes the names of all images that no container uses. */
async function untagUnused(engine: Engine): Promise<readonly string[]> {
  const used = new Set((await readContainers(containersOf(engine))).map(({ imageId }) => imageId));
  const summaries = await engine.images.list();
  // A multi-platform name stands for several images; it stays while one of them is used.
  const kept = new Set(summaries.filter(({ id }) => used.has(id)).flatMap(({ names }) => names));
  const all = new Set(summaries.flatMap(({ names }) => names));
  const unused = [...all].filter((name) => !kept.has(name));
  const removal = engine.images.openRemoval();
  const untagged: string[] = [];
  for (const name of unused) {
    if (await isRemoved(removal, name)) untagged.push(familiarReference(parseReference(name)));
  }
  return untagged;
}

/** Somebody else may have removed the name meanwhile. */
async function isRemoved(removal: ImageRemoval, name: string): Promise<boolean> {
  try {
    await removal.remove(name);
    return true;
  } catch (error) {
    if (isTsbuildError(error, "LOCAL_IMAGE_NOT_FOUND")) return false;
    throw error;
  }
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
      ["Images", withBytes(usage.images, await store.blobs.partialSize())],
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

/** Beginnings of layers whose download broke off go with a prune, too. */
function withBytes(group: UsageGroup, bytes: number): UsageGroup {
  const { size, reclaimable } = group;
  return { ...group, size: size + bytes, reclaimable: reclaimable + bytes };
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
