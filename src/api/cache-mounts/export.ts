import { setTimeout as sleep } from "node:timers/promises";
import { StepLog } from "../../build/index.ts";
import {
  exportMounts,
  onlyPresent,
  readMountSet,
  type MountExport,
  type MountSet,
  type MountToExport,
  type TravelLimits,
} from "../../cache-mounts/index.ts";
import { isTsbuildError, parseSize, parseSpan, type Digest } from "../../core/index.ts";
import { copyGraph, type ContentSource, type Descriptor } from "../../image/index.ts";
import type { CacheMountEntry, HeldCacheMount } from "../../store/index.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { usageError } from "../errors.ts";
import { cacheMountAccess, cacheMountSetting } from "./access.ts";
import {
  findMounts,
  openMountsTarget,
  parseMountsPlace,
  directoryToSweep,
  sweepMounts,
  type FoundMounts,
  type MountsPlace,
  type MountsTarget,
} from "./place.ts";

export interface ExportCacheMountsOptions extends EngineOptions {
  /** See `parseMountsPlace`. */
  readonly place: string;
  /** Ids of mounts; all unless given. */
  readonly ids: readonly string[];
  /** Bytes of all files together, such as `2g`: what was used last goes. */
  readonly maxSize?: string | undefined;
  /** Files that nobody used for so long stay behind, such as `30d`. */
  readonly maxAge?: string | undefined;
  /** Accept any certificate, and plain http. */
  readonly insecure?: boolean | undefined;
  /** Removes from a directory what earlier exports left there and nothing leads to any more. */
  readonly sweep?: boolean | undefined;
  /** A failure is a warning. */
  readonly ignoreError?: boolean | undefined;
}

export interface ExportedCacheMounts {
  /** Of what stands at the place now; undefined when nothing was exported. */
  readonly digest: Digest | undefined;
  readonly mounts: MountExport["mounts"];
  /** Of mounts that are at the place, but not here. */
  readonly kept: MountExport["kept"];
  readonly sent: MountExport["sent"];
}

const nothingExported = { digest: undefined, mounts: [], kept: [], sent: { count: 0, bytes: 0 } };

/**
 * Brings cache mounts to a place. Only chunks that are not there move; what is there of other mounts stays. Where
 * `TSBUILD_CACHE_MOUNTS` is `read-only`, nothing leaves, with a warning.
 * @throws USAGE, REFERENCE_INVALID, CACHE_MOUNTS_*, REGISTRY_*, ARCHIVE_*
 */
export async function exportCacheMounts(
  options: ExportCacheMountsOptions,
): Promise<ExportedCacheMounts> {
  const place = parseMountsPlace(options.place);
  const limits = readLimits(options);
  if (options.sweep === true) directoryToSweep(place);
  const isReadOnly = cacheMountAccess() === "read-only";
  return withEngine(options, async (engine) => {
    const steps = new StepLog({ listener: engine.progress, clock: engine.clock });
    if (isReadOnly) {
      steps.warn({
        code: "CACHE_MOUNTS_READ_ONLY",
        message: `${cacheMountSetting} is read-only: no cache mount leaves`,
      });
      return nothingExported;
    }
    try {
      const exported = await exportTo(place, { engine, steps, options, limits });
      if (options.sweep === true && exported.digest !== undefined) {
        await sweepMounts(place, engine.signal);
      }
      return exported;
    } catch (error) {
      if (options.ignoreError !== true || !isTsbuildError(error) || engine.signal.aborted)
        throw error;
      steps.warn({ code: error.code, message: error.message });
      return nothingExported;
    }
  });
}

interface Work {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly options: ExportCacheMountsOptions;
  readonly limits: TravelLimits;
}

function readLimits({ maxSize, maxAge }: ExportCacheMountsOptions): TravelLimits {
  const size = maxSize === undefined ? undefined : parseSize(maxSize);
  const age = maxAge === undefined ? undefined : parseSpan(maxAge);
  if (maxSize !== undefined && size === undefined) {
    throw usageError(`read --max-size ${maxSize}`, "write for example 500m or 2g");
  }
  if (maxAge !== undefined && age === undefined) {
    throw usageError(`read --max-age ${maxAge}`, "write for example 30d or 12h");
  }
  const usedSince = age === undefined ? undefined : BigInt(Date.now() - age) * 1_000_000n;
  return { maxSize: size, usedSince };
}

async function exportTo(place: MountsPlace, work: Work): Promise<ExportedCacheMounts> {
  const entries = await chooseEntries(work);
  if (entries.length === 0) return nothingExported;
  const held = await holdAll(entries, work.engine);
  try {
    for (let round = 1; ; round += 1) {
      const found = await findMounts(place, { ...work, insecure: work.options.insecure });
      try {
        const isLast = round === maxRounds;
        const sent = await sendTo(place, { ...work, mounts: held.mounts, found, isLast });
        if (sent !== undefined) return sent;
      } finally {
        await found?.close();
      }
      // Whoever else writes is not to come back at the same moment.
      await sleep(longestPauseMs * Math.random(), undefined, { signal: work.engine.signal });
    }
  } finally {
    await held.release();
  }
}

/** In each of these, one of all who export to one name gets through. The last one does not look what the others did. */
const maxRounds = 30;
const longestPauseMs = 1000;

/** The first instance of each cache that is wanted. What is not there is told. */
async function chooseEntries({
  engine,
  steps,
  options,
}: Work): Promise<readonly CacheMountEntry[]> {
  const { ids } = options;
  const all = await engine.store.cacheMounts.list();
  const entries = all.filter(
    ({ instance, name }) => instance === 0 && (ids.length === 0 || ids.includes(name.id)),
  );
  const missing = ids.filter((id) => !entries.some(({ name }) => name.id === id));
  if (missing.length > 0 || entries.length === 0) {
    const message =
      missing.length === 0
        ? "there are no cache mounts here to export"
        : `there is no cache mount ${missing.join(", ")} here to export`;
    steps.warn({ code: "CACHE_MOUNTS_MISSING", message });
  }
  return entries;
}

interface HeldMounts {
  readonly mounts: readonly MountToExport[];
  release(): Promise<void>;
}

/** In the order of their keys, as steps take them, so that nobody waits for each other. */
async function holdAll(entries: readonly CacheMountEntry[], engine: Engine): Promise<HeldMounts> {
  const held: HeldCacheMount[] = [];
  const mounts: MountToExport[] = [];
  const release = async (): Promise<void> => {
    for (const mount of held.splice(0)) await mount.release();
  };
  try {
    for (const { key, name } of [...entries].sort((a, b) => (a.key < b.key ? -1 : 1))) {
      const mount = await engine.store.cacheMounts.read(key, engine.signal);
      if (mount === undefined) continue;
      held.push(mount);
      mounts.push({ key, name, directory: mount.directory });
    }
    return { mounts, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** undefined when somebody else has exported to that name meanwhile: then what both have is to be put together. */
async function sendTo(
  place: MountsPlace,
  work: Work & {
    readonly mounts: readonly MountToExport[];
    readonly found: FoundMounts | undefined;
    readonly isLast: boolean;
  },
): Promise<ExportedCacheMounts | undefined> {
  const { engine, steps, options, limits, mounts, found, isLast } = work;
  const { signal } = engine;
  const target = await openMountsTarget(place, { engine, insecure: options.insecure });
  try {
    const previous = await readPrevious(place, { ...work, target });
    const { root, source, ...told } = await steps.run(`reading cache mounts`, async (step) =>
      exportMounts({
        ...{ mounts, limits, previous, sink: target.sink, signal },
        tmpDir: engine.store.tmpDir,
        onProgress: (current, total) =>
          step.progress({ item: "files", current, total, unit: "bytes", done: current >= total }),
      }),
    );
    const isNamed = await name(root, { source, target, found, isLast, signal });
    return isNamed ? { digest: root.digest, ...told } : undefined;
  } catch (error) {
    await target.abort();
    throw error;
  } finally {
    await target.close();
  }
}

/** Nothing is written where the name stands for just that already. False when somebody else was faster. */
async function name(
  root: Descriptor,
  to: {
    readonly source: ContentSource;
    readonly target: MountsTarget;
    readonly found: FoundMounts | undefined;
    readonly isLast: boolean;
    readonly signal: AbortSignal;
  },
): Promise<boolean> {
  const { source, target, found, isLast, signal } = to;
  if (found?.root.digest === root.digest) {
    // Objects of a bucket that are asked for stay young.
    if (target.finishInstead !== undefined)
      await copyGraph({ source, sink: target.sink, root, signal });
    await target.abort();
    return true;
  }
  await copyGraph({ source, sink: target.sink, root, signal });
  if (target.finishInstead !== undefined && !isLast) {
    return target.finishInstead(root, found?.root);
  }
  await target.finish(root);
  return true;
}

/** What the place has; what is damaged there is replaced. @throws CACHE_MOUNTS_NOT_FOUND when it is something else */
async function readPrevious(
  place: MountsPlace,
  work: Work & { readonly found: FoundMounts | undefined; readonly target: MountsTarget },
): Promise<{ readonly set: MountSet; readonly source: ContentSource } | undefined> {
  const { engine, steps, found, target } = work;
  if (found === undefined) return undefined;
  const { signal } = engine;
  const { source, root } = found;
  try {
    const set = await readMountSet({ source, root, signal });
    // A file is written anew, with the packs of the one before.
    if (place.type === "oci-archive") return { set, source };
    return { set: await onlyPresent(set, { sink: target.sink, signal }), source };
  } catch (error) {
    if (!isDamage(error)) throw error;
    steps.warn({ code: error.code, message: `${error.message}: all is sent again` });
    return undefined;
  }
}

const damages = [
  "CACHE_MOUNTS_INVALID",
  "DIGEST_MISMATCH",
  "SIZE_MISMATCH",
  "ARCHIVE_BLOB_NOT_FOUND",
  "REGISTRY_NOT_FOUND",
  "OBJECT_STORAGE_NOT_FOUND",
];

function isDamage(error: unknown): error is Error & { readonly code: string } {
  return isTsbuildError(error) && damages.includes(error.code);
}
