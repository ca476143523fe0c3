import {
  type ChainId,
  digestMismatch,
  isTsbuildError,
  shortDigest,
  TsbuildError,
} from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { openLayer } from "../layer/index.ts";
import type { LayerSource, Snapshotter } from "../snapshot/index.ts";
import { type ImageLayer, layersOf } from "./image-layers.ts";
import { countBytes, ensureLayerBlob, type FetchOptions, type LayerPlace } from "./layer-blobs.ts";
import type { LocalImage, StackLayer, UnpackOptions } from "./types.ts";

/** Downloads at a time; unpacking goes on beside them, one layer after the other. */
const concurrentFetches = 3;

export interface UnpackPlace extends LayerPlace {
  readonly snapshots: Snapshotter;
}

/** See `LocalImages.ensureUnpacked`. */
export async function unpackImage(
  place: UnpackPlace,
  image: LocalImage,
  options: UnpackOptions = {},
): Promise<ChainId | undefined> {
  return unpackStack(place, await layersOf(place.store, image), options);
}

/** See `LocalImages.ensureStack`. */
export async function unpackStack(
  place: UnpackPlace,
  stack: readonly StackLayer[],
  options: UnpackOptions = {},
): Promise<ChainId | undefined> {
  const layers = stack.map((layer): ImageLayer => ({ ...layer, published: layer.published }));
  const missing = await missingLayers(place.snapshots, layers);
  if (missing.length > 0) await unpackLayers(place, missing, options);
  return layers.at(-1)?.chainId;
}

/** The layers above the highest snapshot that is here with all its parents. */
async function missingLayers(
  snapshots: Snapshotter,
  layers: readonly ImageLayer[],
): Promise<readonly ImageLayer[]> {
  for (let count = layers.length; count > 0; count--) {
    const layer = layers[count - 1];
    if (layer !== undefined && (await snapshots.stat(layer.chainId)) !== undefined) {
      return layers.slice(count);
    }
  }
  return layers;
}

async function unpackLayers(
  place: UnpackPlace,
  layers: readonly ImageLayer[],
  options: UnpackOptions,
): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([
    failure.signal,
    ...(options.signal === undefined ? [] : [options.signal]),
  ]);
  const fetches = startFetches(place, layers, { ...options, signal });
  try {
    for (const [index, layer] of layers.entries()) {
      const blob = await fetches[index];
      if (blob !== undefined) await unpackLayer(place, layer, { ...options, blob, signal });
    }
  } catch (error) {
    failure.abort(error);
    throw error;
  } finally {
    await Promise.allSettled(fetches);
  }
}

/** The blob of each layer, a few at a time and in order. */
function startFetches(
  place: UnpackPlace,
  layers: readonly ImageLayer[],
  options: FetchOptions & { readonly signal: AbortSignal },
): readonly Promise<Descriptor>[] {
  const fetches: Promise<Descriptor>[] = [];
  for (const [index, layer] of layers.entries()) {
    const before = fetches[index - concurrentFetches];
    const fetch = async (): Promise<Descriptor> => {
      await before;
      options.signal.throwIfAborted();
      return ensureLayerBlob(place, layer, options);
    };
    const promise = fetch();
    // Told when its turn comes; until then Node must not take it for a forgotten one.
    promise.catch(() => undefined);
    fetches.push(promise);
  }
  return fetches;
}

interface UnpackLayerOptions extends FetchOptions, Pick<UnpackOptions, "thread"> {
  readonly blob: Descriptor;
  readonly signal: AbortSignal;
}

async function unpackLayer(
  place: UnpackPlace,
  layer: ImageLayer,
  options: UnpackLayerOptions,
): Promise<void> {
  const { signal } = options;
  const name = `unpack ${layer.chainId}`;
  const work = async (): Promise<void> => {
    // Another process may have been faster.
    if ((await place.snapshots.stat(layer.chainId)) === undefined) {
      await applyBlob(place, layer, options);
    }
  };
  await place.flights.run(name, async () => place.store.withLock(name, work, signal), signal);
}

async function applyBlob(
  place: UnpackPlace,
  layer: ImageLayer,
  options: UnpackLayerOptions,
): Promise<void> {
  const { blob, onProgress, signal } = options;
  const item = `unpack ${shortDigest(blob.digest)}`;
  const tell = (current: number, done: boolean): void =>
    onProgress?.(item, current, blob.size, done);
  const content = await place.store.blobs.open(blob.digest);
  const counted = content.pipe(countBytes((current) => tell(current, false)));
  content.once("error", (error) => counted.destroy(error));
  // Whoever reads is told of it; when the work ends before the reading begins, nobody is there yet.
  counted.on("error", () => undefined);
  const stop = (): void => {
    counted.destroy(signal.reason as Error);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    const opened = await openLayer(counted);
    const { thread } = options;
    await place.snapshots.apply(layer.parent, verifiedSource(layer, opened), { thread });
  } catch (error) {
    throw tellLayer(error, blob);
  } finally {
    signal.removeEventListener("abort", stop);
    content.destroy();
    counted.destroy();
  }
  // Only now is it proven that the blob holds this layer.
  const { mediaType, digest, size } = blob;
  await place.store.layerBlobs.add(layer.diffId, { mediaType, digest, size });
  tell(blob.size, true);
}

/** What is wrong with a layer is told with the layer: an image has many, and all of them come from strangers. */
function tellLayer(error: unknown, { digest }: Descriptor): unknown {
  if (!isTsbuildError(error) || !/^(?:LAYER|SNAPSHOT)_/.test(error.code)) return error;
  return new TsbuildError({
    code: error.code,
    message: `unpack layer ${shortDigest(digest)}: ${error.message}`,
    hint: error.hint,
    location: error.location,
    details: { ...error.details, layer: digest },
    cause: error.cause,
  });
}

/** The layer as it is read, refused at its end unless it is the one that the config names. */
function verifiedSource(layer: ImageLayer, source: LayerSource): LayerSource {
  const { created } = layer.published ?? {};
  return {
    entries: source.entries,
    created: created === undefined ? undefined : new Date(created),
    finish: async () => {
      const found = await source.finish();
      if (found.diffId === layer.diffId) return found;
      throw digestMismatch(layer.diffId, found.diffId, `layer ${shortDigest(layer.diffId)}`);
    },
  };
}
