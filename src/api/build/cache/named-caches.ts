import type { LayersResult, StepLog } from "../../../build/index.ts";
import { cacheError } from "../../../cache/index.ts";
import { extendChain, isTsbuildError, type ChainId, type DiffId } from "../../../core/index.ts";
import type { Engine } from "../../engine.ts";
import type { BuildOptions } from "../options.ts";
import type { BuildCaches } from "./build-caches.ts";
import type { CacheTarget } from "./cache-spec.ts";
import { exportCaches } from "./export-caches.ts";
import { ImportedCaches } from "./imported-caches.ts";
import { isOfSource } from "./is-of-source.ts";
import { openCachePlace } from "./open-place.ts";

/** From then on all that caches promised is forgotten at once: each time something more was missing. */
const patience = 4;

/** What is wrong with a target is told before anything is built. @throws REFERENCE_INVALID, OBJECT_STORAGE_*, USAGE */
export async function checkTargets(engine: Engine, targets: readonly CacheTarget[]): Promise<void> {
  for (const target of targets) {
    if (target.type === "inline" || target.ignoreError) continue;
    const place = await openCachePlace({ engine, spec: target.place, access: "push" });
    await place.close();
  }
}

/** The caches that the options of a build name. */
export function openNamedCaches(request: {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly options: BuildOptions;
}): Omit<BuildCaches, "isInline"> {
  const { engine, steps, options } = request;
  const { cacheFrom: sources = [], cacheTo = [] } = options;
  const imported =
    sources.length === 0 ? undefined : new ImportedCaches({ engine, steps, sources });
  /** Layers of results that are not here. */
  const promised = new Set<DiffId>();
  /** Why the results could not be promised. */
  let missed: unknown;
  return {
    remote: imported,
    retrying: async (work) => {
      for (let attempt = 1; ; attempt += 1) {
        promised.clear();
        try {
          return await work(attempt);
        } catch (error) {
          if (imported === undefined || engine.signal.aborted) throw error;
          const isOfSolving = isTsbuildError(error, "BUILD_CACHE_LOST");
          const isGivenUp = isOfSolving || error === missed;
          if (!isGivenUp && !(promised.size > 0 && isOfSource(error))) throw error;
          if (!isGivenUp) imported.giveUp([...promised], error);
          if (attempt === patience) imported.giveUpAll();
          if (attempt > patience) throw error;
        }
      }
    },
    keepOrigins: async ({ targets }, { isStreamed }) => {
      if (imported === undefined) return;
      if (isStreamed) for (const { materialize } of targets) await materialize?.();
      for (const target of targets) {
        for (const layer of await keepOriginsOf(target, { engine, imported })) promised.add(layer);
      }
      // An image whose layers nobody has would be called done, now and whenever it is built again.
      const lost = await imported.findLost([...promised]);
      if (lost.length === 0) return;
      missed = layersGone(lost);
      imported.giveUp(lost, missed);
      throw missed;
    },
    write: async (written) => exportCaches(cacheTo, { ...written, engine, steps, imported }),
    close: async () => imported?.close(),
  };
}

function layersGone(layers: readonly DiffId[]): Error {
  return cacheError(
    "CACHE_LAYER_LOST",
    "look for layers of the result: caches that list them have them no more",
    {
      hint: "build again without those caches",
      details: { layers },
    },
  );
}

/** The layers that are not here. */
async function keepOriginsOf(
  { diffIds, materialize, timeOf }: LayersResult,
  { engine, imported }: { readonly engine: Engine; readonly imported: ImportedCaches },
): Promise<readonly DiffId[]> {
  if (materialize === undefined) return [];
  const absent: DiffId[] = [];
  let chainId: ChainId | undefined;
  for (const diffId of diffIds) {
    chainId = extendChain(chainId, diffId);
    const layer = imported.layer(diffId);
    if (layer === undefined || (await engine.snapshots.stat(chainId)) !== undefined) continue;
    absent.push(diffId);
    const { origins = [], ...blob } = layer;
    const created = timeOf?.(chainId);
    for (const place of origins.toReversed()) {
      await engine.store.layerOrigins.add(diffId, { blob, place, created });
    }
  }
  return absent;
}
