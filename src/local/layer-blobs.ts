import { Transform } from "node:stream";
import { shortDigest } from "../core/index.ts";
import { copyContent, type ContentSource, type Descriptor } from "../image/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { LayerBlob, Store } from "../store/index.ts";
import { localError } from "./errors.ts";
import type { ImageLayer } from "./image-layers.ts";
import type { SingleFlight } from "./single-flight.ts";
import { storeSink } from "./store-places.ts";
import type { FetchLayer, PublishedLayer } from "./types.ts";

/** What getting a layer's blob needs. */
export interface LayerPlace {
  readonly store: Store;
  readonly flights: SingleFlight;
  /** Asked why a layer is missing. */
  readonly snapshots?: Snapshotter;
}

/** How to get what is not here; the fields of `UnpackOptions`, each of which may be undefined. */
export interface FetchOptions {
  readonly fetchLayer?: FetchLayer | undefined;
  readonly onProgress?:
    ((item: string, current: number, total: number, done: boolean) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Blobs of the layer that are here and whole: the published one first, then any other form. */
export async function findLayerBlobs(
  store: Store,
  layer: ImageLayer,
): Promise<readonly LayerBlob[]> {
  const known = await store.layerBlobs.get(layer.diffId);
  const { published } = layer;
  const isPublished = ({ digest }: Descriptor): boolean => digest === published?.digest;
  const levels = known.find(isPublished)?.levels;
  const first = published && { ...published, ...(levels && { levels }) };
  const others = known.filter((blob) => !isPublished(blob));
  const found: LayerBlob[] = [];
  for (const candidate of first === undefined ? others : [first, ...others]) {
    if (await isHere(store, candidate)) found.push(candidate);
  }
  return found;
}

/**
 * A blob of the layer in any form, fetched when none is here. One process fetches; the others wait for it.
 * @throws LOCAL_LAYER_MISSING when nobody knows where to get it
 */
export async function ensureLayerBlob(
  place: LayerPlace,
  layer: ImageLayer,
  options: FetchOptions,
): Promise<Descriptor> {
  const { published } = layer;
  const { fetchLayer } = options;
  const [present] = await findLayerBlobs(place.store, layer);
  if (present !== undefined) return present;
  if (published === undefined || fetchLayer === undefined) throw layerMissing(place, layer);
  await fetchPublished(place, published, { ...options, fetchLayer });
  return published;
}

/** That blob and no other form of its layer, unless it is here. One process fetches; the others wait for it. */
export async function fetchPublished(
  { store, flights }: LayerPlace,
  published: PublishedLayer,
  options: FetchOptions & { readonly fetchLayer: FetchLayer },
): Promise<void> {
  const { signal } = options;
  const name = `blob ${published.digest}`;
  const work = async (): Promise<void> => fetchBlob(store, published, options);
  await flights.run(name, async () => store.withLock(name, work, signal), signal);
}

async function fetchBlob(
  store: Store,
  layer: PublishedLayer,
  options: FetchOptions & { readonly fetchLayer: FetchLayer },
): Promise<void> {
  if (await isHere(store, layer)) return;
  const { fetchLayer, signal, onProgress } = options;
  const { digest, size } = layer;
  const tell = (current: number, done: boolean): void =>
    onProgress?.(shortDigest(digest), current, size, done);
  tell(0, false);
  await copyContent({
    source: layerSource(layer, fetchLayer),
    sink: storeSink(store, { fromRegistry: true, onTag: () => Promise.resolve() }),
    descriptor: layer,
    onBytes: (current) => tell(current, false),
    retry: { attempts: maxHosts, firstDelay: 500 },
    signal,
  }).catch((error: unknown) => {
    // Not the store's failure: somebody wanted it to end.
    signal?.throwIfAborted();
    throw error;
  });
  tell(size, true);
}

/** So many may give wrong bytes until it is told. */
const maxHosts = 8;

/** Whoever has a layer as a place to copy it from, so that a broken download goes on as that of a pull does. */
function layerSource(layer: PublishedLayer, fetchLayer: FetchLayer): ContentSource {
  return {
    label: "where its image came from",
    fetch: (_descriptor, signal) => fetchLayer(layer, { signal }),
    fetchFrom: (_descriptor, offset, signal) => fetchLayer(layer, { offset, signal }),
    resolve: () => Promise.resolve(undefined),
  };
}

/** A pass-through that tells how many bytes went by. */
export function countBytes(tell: (current: number) => void): Transform {
  let current = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done): void {
      current += chunk.length;
      tell(current);
      done(null, chunk);
    },
  });
}

/** Whether the blob is in the store, as long as it should be. */
export async function isHere(store: Store, { digest, size }: Descriptor): Promise<boolean> {
  return (await store.blobs.size(digest)) === size;
}

export function layerMissing({ snapshots }: LayerPlace, layer: ImageLayer): Error {
  const isOfOtherKind = snapshots?.isOfOtherKind(layer.chainId) === true;
  const word = snapshots?.kind === "overlayfs" ? "say" : "leave out";
  return localError("LOCAL_LAYER_MISSING", `find layer ${layer.diffId}: it is not here`, {
    hint: isOfOtherKind
      ? `${word} --isolation chroot, as when it was built: its layers have another form then`
      : "pull or build the image again",
    details: { diffId: layer.diffId, blob: layer.published?.digest },
  });
}
