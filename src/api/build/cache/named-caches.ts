import type { LayersResult, StepLog } from "../../../build/index.ts";
import { extendChain, isTsbuildError, type ChainId, type DiffId } from "../../../core/index.ts";
import type { Engine } from "../../engine.ts";
import type { BuildOptions } from "../options.ts";
import type { BuildCaches } from "./build-caches.ts";
import { exportCaches } from "./export-caches.ts";
import { ImportedCaches } from "./imported-caches.ts";

/** From then on all that caches promised is forgotten at once: each time something more was missing. */
const patience = 4;

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
          if (!isOfSolving && !(promised.size > 0 && isOfSource(error))) throw error;
          if (!isOfSolving) imported.giveUp([...promised], error);
          if (attempt === patience) imported.giveUpAll();
          if (attempt > patience) throw error;
        }
      }
    },
    keepOrigins: async ({ targets }) => {
      if (imported === undefined) return;
      for (const target of targets) {
        for (const layer of await keepOriginsOf(target, { engine, imported })) promised.add(layer);
      }
    },
    write: async (written) => exportCaches(cacheTo, { ...written, engine, steps, imported }),
    close: async () => imported?.close(),
  };
}

/** Whether something that was to be written could not be read: the layers of caches may be why. */
function isOfSource(error: unknown): boolean {
  if (!isTsbuildError(error)) return false;
  return error.code === "CACHE_LAYER_LOST" || error.details["side"] === "source";
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
