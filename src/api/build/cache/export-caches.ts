import { openFileThread, type Solution, type Step, type StepLog } from "../../../build/index.ts";
import {
  dayOf,
  writeCache,
  type CachePlace,
  type CacheState,
  type WrittenCache,
} from "../../../cache/index.ts";
import {
  isTsbuildError,
  layerCompression,
  parseReference,
  type DiffId,
} from "../../../core/index.ts";
import { plainDescriptor, type ContentSource, type Descriptor } from "../../../image/index.ts";
import { isMadeAt, type StackLayer } from "../../../local/index.ts";
import type { Plan } from "../../../plan/index.ts";
import type { LayerBlob } from "../../../store/index.ts";
import type { BaseImages } from "../../base-images.ts";
import type { Engine } from "../../engine.ts";
import { openEarlyUploads, type EarlyUploads } from "../../output/early-uploads.ts";
import { openMountSources } from "../../output/mount-sources.ts";
import { describe } from "../../output/push-output.ts";
import type { CacheTarget } from "./cache-spec.ts";
import { collectRecords, type CollectedRecords } from "./collect-records.ts";
import { describePlace } from "./describe-place.ts";
import type { ImportedCaches } from "./imported-caches.ts";
import { isOfSource } from "./is-of-source.ts";
import { openCachePlace } from "./open-place.ts";

type PlaceTarget = Extract<CacheTarget, { readonly type: "place" }>;

export interface ExportCachesRequest {
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly plan: Plan;
  readonly solution: Solution;
  readonly imported: ImportedCaches | undefined;
  readonly bases: BaseImages;
  /** Full names of the images that were made: the registries of these may have the layers already. */
  readonly names: readonly string[];
}

/**
 * Writes what a build knows to the places of `--cache-to`, one after the other.
 * @throws the first failure, after all have been tried, unless its target says `ignore-error`
 */
export async function exportCaches(
  targets: readonly CacheTarget[],
  request: ExportCachesRequest,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  for (const target of targets) {
    // It was written with the image.
    if (target.type === "inline") continue;
    try {
      await exportCache(target, request);
    } catch (error) {
      request.engine.signal.throwIfAborted();
      if (target.ignoreError) warnOfFailure(request.steps, target, error);
      else failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}

async function exportCache(target: PlaceTarget, request: ExportCachesRequest): Promise<void> {
  const { engine, plan, solution, steps } = request;
  const used = dayOf(engine.clock.now());
  const collected = collectRecords({ plan, solution, mode: target.mode, used });
  await steps.run(`exporting cache to ${describePlace(target.place)}`, async (step) => {
    const place = await openCachePlace({
      ...{ engine, spec: target.place, access: "push", reset: target.reset },
      mountFrom: siblings(target, request.names),
    });
    try {
      const written = await write(place, {
        ...{ ...request, target, step, collected },
        borrowed: new Set<DiffId>(),
      });
      step.output("stdout", Buffer.from(`${describeWritten(written, collected)}\n`));
      if (!written.isKept) warnOfOthers(steps, target);
    } finally {
      await place.close();
    }
  });
}

interface Export extends ExportCachesRequest {
  readonly target: PlaceTarget;
  readonly step: Step;
  readonly collected: CollectedRecords;
  /** Layers that only another cache has. */
  readonly borrowed: Set<DiffId>;
}

/** Layers that another cache turns out not to have are left out, and fail nothing. */
async function write(place: CachePlace, work: Export): Promise<WrittenCache> {
  const { engine, imported, borrowed } = work;
  try {
    return await writeOnce(place, work);
  } catch (error) {
    if (engine.signal.aborted || borrowed.size === 0 || !isOfSource(error)) throw error;
    const lost = (await imported?.findLost([...borrowed])) ?? [];
    imported?.giveUp(lost.length === 0 ? [...borrowed] : lost, error);
    return writeOnce(place, work);
  }
}

async function writeOnce(place: CachePlace, work: Export): Promise<WrittenCache> {
  const { engine, steps, target, step, collected } = work;
  const { isImageManifest, dockerTypes } = target;
  return writeCache({
    place,
    records: collected.records,
    known: target.reset ? undefined : work.imported?.standingIn(place),
    isLost: (layer) => work.imported?.isLost(layer) ?? false,
    isNew: target.reset,
    form: { isImageManifest, dockerTypes },
    isGoodForm: (layer, blob) => isGoodForm(layer, blob, work),
    exportLayers: (wanted) => exportLayers(place, wanted, work),
    onReplaced: (reason) =>
      steps.warn({
        code: "CACHE_REPLACED",
        message: `what stood at ${describePlace(target.place)} was replaced: ${textOf(reason)}`,
        hint: "give the cache a name of its own",
      }),
    onProgress: (progress) => step.progress(describe(progress)),
    now: () => engine.clock.now(),
    signal: engine.signal,
  });
}

/** What was compressed here has to be of the level that is forced, too; what others compressed may be of any. */
async function isGoodForm(
  layer: DiffId,
  { mediaType, digest }: Descriptor,
  { engine, target }: Export,
): Promise<boolean> {
  const { compression = "gzip", compressionLevel, forceCompression } = target;
  if (!forceCompression) return true;
  if (layerCompression(mediaType) !== compression) return false;
  if (compression === "none") return true;
  const own = (await engine.store.layerBlobs.get(layer)).find((blob) => blob.digest === digest);
  return own?.levels === undefined || isMadeAt(own, compression, compressionLevel);
}

/** Gives layers that the place lacks the form that was asked for; they are sent while they are compressed. */
async function exportLayers(
  place: CachePlace,
  wanted: readonly DiffId[],
  work: Export,
): Promise<{
  readonly layers: ReadonlyMap<DiffId, Descriptor>;
  readonly source: ContentSource;
}> {
  const { engine, target, step, collected, bases } = work;
  const { compressionLevel, forceCompression } = target;
  const layers: StackLayer[] = [];
  for (const diffId of wanted) {
    const state = collected.own.get(diffId);
    if (state !== undefined) layers.push(await describeLayer(state, work));
  }
  const early = openEarly(place, engine);
  const thread = layers.length === 0 ? undefined : openFileThread();
  try {
    return await engine.images.exportLayers(layers, {
      compression: target.compression ?? "gzip",
      reuse: !forceCompression,
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
      fetchLayer: (layer, wanted) => bases.fetchLayer(undefined, layer, wanted),
      thread,
      listenTo: (layer) => early?.listenTo(layer) ?? Promise.resolve(undefined),
      signal: engine.signal,
    });
  } finally {
    await early?.settle((descriptor, current) => {
      step.progress(describe({ descriptor, current, done: false, skipped: false }));
    });
    await thread?.close();
  }
}

/** Without a form that was asked for, a blob that is here stays as it is: an image that leaves has it, too. */
async function describeLayer(
  { diffId, parent, chainId }: CacheState,
  { engine, target, imported, borrowed }: Export,
): Promise<StackLayer> {
  const layer = { diffId, parent: parent?.chainId, chainId };
  const known = imported?.layer(diffId);
  if (known !== undefined && (await engine.snapshots.stat(chainId)) === undefined) {
    borrowed.add(diffId);
  }
  const { compression, compressionLevel, forceCompression } = target;
  if (compression !== undefined || compressionLevel !== undefined || forceCompression) {
    return { ...layer, published: known };
  }
  const { blobs, layerBlobs } = engine.store;
  const isDefault = (blob: LayerBlob): boolean =>
    layerCompression(blob.mediaType) === "gzip" && isMadeAt(blob, "gzip", undefined);
  const here: LayerBlob[] = [];
  for (const blob of await layerBlobs.get(diffId)) {
    if ((await blobs.size(blob.digest)) === blob.size) here.push(blob);
  }
  const blob = here.find(isDefault) ?? here[0];
  return { ...layer, published: blob === undefined ? known : plainDescriptor(blob) };
}

function openEarly(place: CachePlace, engine: Engine): EarlyUploads | undefined {
  const { beginBlob } = place;
  if (beginBlob === undefined) return undefined;
  const { domain } = parseReference(place.name);
  const mounts = openMountSources(engine);
  return openEarlyUploads(engine, mounts, { repository: { beginBlob }, domain });
}

/** Repositories of the same registry that the build's images may just have been pushed to. */
function siblings({ place }: PlaceTarget, names: readonly string[]): readonly string[] {
  if (place.type !== "registry") return [];
  const { domain } = parseReference(place.ref);
  const references = names.map(parseReference).filter((each) => each.domain === domain);
  return [...new Set(references.map(({ path }) => path))];
}

function describeWritten(written: WrittenCache, { records, own }: CollectedRecords): string {
  const { isChanged, copied } = written;
  const steps = new Set(records.map(({ state }) => state.chainId)).size;
  const known = `steps: ${String(steps)}, layers: ${String(own.size)}`;
  if (!isChanged) return `${known}; all of it was there`;
  return `${known}; blobs sent: ${String(copied.count)} (${String(copied.bytes)} bytes)`;
}

function warnOfOthers(steps: StepLog, target: PlaceTarget): void {
  steps.warn({
    code: "CACHE_CROWDED",
    message: `others wrote to ${describePlace(target.place)} all the time: what this build made may not be in it`,
    hint: "the next build writes it again; give so many builders several caches, and name them all in --cache-from",
  });
}

function warnOfFailure(steps: StepLog, target: PlaceTarget, error: unknown): void {
  steps.warn({
    code: "CACHE_NOT_EXPORTED",
    message: `the cache was not written to ${describePlace(target.place)}: ${textOf(error)}`,
    ...(isTsbuildError(error) && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
