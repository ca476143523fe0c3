import { StepLog } from "../../build/index.ts";
import {
  importMounts,
  readMountSet,
  type MountImport,
  type MountRecord,
  type MountSet,
} from "../../cache-mounts/index.ts";
import { isTsbuildError } from "../../core/index.ts";
import type { CacheMountName } from "../../store/index.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { isUsageError } from "../errors.ts";
import { findMounts, parseMountsPlace, type FoundMounts, type MountsPlace } from "./place.ts";

export interface ImportCacheMountsOptions extends EngineOptions {
  /** See `parseMountsPlace`. */
  readonly place: string;
  /** Ids of mounts; all unless given. */
  readonly ids: readonly string[];
  /** Mounts that are here stay as they are. */
  readonly keep?: boolean | undefined;
  /** Accept any certificate, and plain http. */
  readonly insecure?: boolean | undefined;
  /** What cannot be imported is a failure, not a warning. */
  readonly strict?: boolean | undefined;
}

export interface ImportedCacheMounts {
  readonly mounts: readonly {
    readonly name: CacheMountName;
    readonly files: number;
    readonly size: number;
  }[];
  readonly fetched: MountImport["fetched"];
}

const nothingImported: ImportedCacheMounts = { mounts: [], fetched: { count: 0, bytes: 0 } };

/**
 * Puts cache mounts of a place into the state root, each at once and whole. A place that has none, or that cannot be used, is a
 * warning: a build without caches is slower, and nothing else.
 * @throws USAGE, REFERENCE_INVALID, CANCELED; with `strict` also CACHE_MOUNTS_*, LAYER_*, REGISTRY_*, ARCHIVE_*
 */
export async function importCacheMounts(
  options: ImportCacheMountsOptions,
): Promise<ImportedCacheMounts> {
  const place = parseMountsPlace(options.place);
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    try {
      return await importFrom(place, { engine, steps, options });
    } catch (error) {
      const isFinal = options.strict === true || engine.signal.aborted || isUsageError(error);
      if (isFinal || !isTsbuildError(error)) throw error;
      steps.warn({
        code: error.code,
        message: `cache mounts of ${place.text} are not used: ${error.message}`,
      });
      return nothingImported;
    }
  });
}

interface Work {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly options: ImportCacheMountsOptions;
}

async function importFrom(place: MountsPlace, work: Work): Promise<ImportedCacheMounts> {
  const { engine, steps, options } = work;
  const found = await findMounts(place, { engine, steps, insecure: options.insecure });
  if (found === undefined) {
    steps.warn({
      code: "CACHE_MOUNTS_MISSING",
      message: `${place.text} has no cache mounts yet`,
    });
    return nothingImported;
  }
  try {
    return await placeFound(found, { ...work, place });
  } finally {
    await found.close();
  }
}

async function placeFound(
  { source, root }: FoundMounts,
  work: Work & { readonly place: MountsPlace },
): Promise<ImportedCacheMounts> {
  const { engine, steps } = work;
  const { signal, store } = engine;
  const set = await readMountSet({ source, root, signal });
  const mounts = await chooseMounts(set, work);
  if (mounts.length === 0) return nothingImported;
  const { lost, fetched } = await steps.run(`importing cache mounts`, async (step) =>
    importMounts({
      ...{ set, mounts, source, store: store.cacheMounts, tmpDir: store.tmpDir, signal },
      onProgress: (current, total) =>
        step.progress({ item: "packs", current, total, unit: "bytes", done: current >= total }),
    }),
  );
  if (lost.owners + lost.attributes > 0) {
    steps.warn({
      code: "CACHE_MOUNT_LOOKS_LOST",
      message: `${String(lost.owners)} owners and ${String(lost.attributes)} attributes of files in cache mounts cannot be set here`,
    });
  }
  return { mounts: mounts.map(({ name, files, size }) => ({ name, files, size })), fetched };
}

async function chooseMounts(
  set: MountSet,
  { engine, steps, options, place }: Work & { readonly place: MountsPlace },
): Promise<readonly MountRecord[]> {
  const { ids, keep } = options;
  const wanted = set.mounts.filter(({ name }) => ids.length === 0 || ids.includes(name.id));
  const missing = ids.filter((id) => !wanted.some(({ name }) => name.id === id));
  if (missing.length > 0) {
    steps.warn({
      code: "CACHE_MOUNTS_MISSING",
      message: `${place.text} has no cache mount ${missing.join(", ")}`,
    });
  }
  if (keep !== true) return wanted;
  const here = new Set((await engine.store.cacheMounts.list()).map(({ key }) => key));
  return wanted.filter(({ key }) => !here.has(key));
}
