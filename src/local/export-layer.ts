import { pipeline, Readable, Transform } from "node:stream";
import { Digester, layerCompression, mediaTypes, vouchFor } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import {
  compressGzip,
  compressZstd,
  decompress,
  defaultZstdLevel,
  digestChunks,
  layerTarChunks,
  type LayerTarOptions,
} from "../layer/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import { localError } from "./errors.ts";
import type { ImageLayer } from "./image-layers.ts";
import { ensureLayerBlob, findLayerBlobs, type LayerPlace, layerMissing } from "./layer-blobs.ts";
import type { BlobListener, ExportOptions } from "./types.ts";

export interface ExportPlace extends LayerPlace {
  readonly snapshots: Snapshotter;
}

/** A layer in the form in which it leaves. */
export interface ExportedLayer {
  readonly descriptor: Descriptor;
  open(signal?: AbortSignal): Promise<Readable>;
}

/** The ways to compress. */
const compressions = {
  gzip: {
    compress: (tar: Chunks, { compressionLevel: level, thread }: ExportOptions): Readable =>
      compressGzip(tar, { level, thread }),
    mediaType: mediaTypes.ociLayerGzip,
  },
  zstd: {
    compress: (tar: Chunks, { compressionLevel: level = defaultZstdLevel }: ExportOptions) =>
      compressZstd(tar, level),
    mediaType: mediaTypes.ociLayerZstd,
  },
} as const;

/**
 * Chooses the form of one layer: a blob that is here in the right compression; with `reuse` the form in which it was
 * published; else a new one. Plain tars are not written: their digest is the diffId.
 */
export async function exportLayer(
  place: ExportPlace,
  layer: ImageLayer,
  options: ExportOptions,
): Promise<ExportedLayer> {
  const { compression, reuse, fetchLayer } = options;
  const present = await findLayerBlobs(place.store, layer);
  const isRight = (blob: Descriptor): boolean => layerCompression(blob.mediaType) === compression;
  const right = present.find(isRight);
  if (right !== undefined) return storedLayer(place, right);
  const { published } = layer;
  const isWanted =
    published !== undefined && (isRight(published) || (reuse && isReusable(published, options)));
  if (isWanted) {
    const stored = present.find(({ digest }) => digest === published.digest);
    if (stored !== undefined) return storedLayer(place, stored);
    if (fetchLayer !== undefined) return fetchedLayer(place, { layer, published, options });
  }
  return compression === "none"
    ? plainLayer(place, layer, options)
    : compressedLayer(place, layer, { ...options, compression });
}

/** Docker's media types know no zstd. */
function isReusable({ mediaType }: Descriptor, { dockerTypes }: ExportOptions): boolean {
  return dockerTypes !== true || layerCompression(mediaType) !== "zstd";
}

function storedLayer(place: ExportPlace, descriptor: Descriptor): ExportedLayer {
  return { descriptor, open: async () => place.store.blobs.open(descriptor.digest) };
}

/** A layer that is only in a registry: it comes here when the other side has not got it already. */
function fetchedLayer(
  place: ExportPlace,
  request: {
    readonly layer: ImageLayer;
    readonly published: Descriptor;
    readonly options: ExportOptions;
  },
): ExportedLayer {
  const { layer, published, options } = request;
  return {
    descriptor: published,
    open: async (signal = options.signal) => {
      const { digest } = await ensureLayerBlob(place, layer, { ...options, signal });
      return place.store.blobs.open(digest);
    },
  };
}

async function plainLayer(
  place: ExportPlace,
  layer: ImageLayer,
  options: ExportOptions,
): Promise<ExportedLayer> {
  const { diffId: digest } = layer;
  // Told now what could not be read later.
  await findTar(place, layer, options);
  const size =
    (await place.snapshots.stat(layer.chainId))?.tarSize ??
    (await countTar(await openTar(place, layer, options)));
  return {
    descriptor: { mediaType: mediaTypes.ociLayer, digest, size },
    open: async (signal = options.signal) => {
      const tar = await openTar(place, layer, { ...options, ...(signal && { signal }) });
      return vouchFor(Readable.from(sized(tar, layer, size), { objectMode: false }), digest);
    },
  };
}

/** Compresses the layer into a blob, once: the next export finds it. */
async function compressedLayer(
  place: ExportPlace,
  layer: ImageLayer,
  options: ExportOptions & { readonly compression: keyof typeof compressions },
): Promise<ExportedLayer> {
  const { signal, compression } = options;
  const { compress, mediaType } = compressions[compression];
  const work = async (): Promise<Descriptor> => {
    const isRight = (blob: Descriptor): boolean => layerCompression(blob.mediaType) === compression;
    const present = (await findLayerBlobs(place.store, layer)).find(isRight);
    if (present !== undefined) return present;
    // Of what gzip gets it keeps nothing.
    const tar = await openTar(place, layer, { ...options, isPassing: compression === "gzip" });
    const compressed = compress(tar, options);
    const listener = await options.listenTo?.(layer.diffId);
    try {
      const heard = listener === undefined ? compressed : tellOf(compressed, listener);
      const written = await place.store.blobs.write(heard, undefined, signal);
      const descriptor = { mediaType, ...written };
      await place.store.layerBlobs.add(layer.diffId, descriptor);
      listener?.finish(descriptor);
      return descriptor;
    } catch (error) {
      listener?.cancel();
      throw error;
    }
  };
  const name = `${compression} ${layer.diffId}`;
  const locked = async (): Promise<Descriptor> => place.store.withLock(name, work, signal);
  return storedLayer(place, await place.flights.run(name, locked, signal));
}

/** Passes everything on while `listener` hears of it. */
function tellOf(content: Readable, listener: BlobListener): Readable {
  const told = new Transform({
    transform(chunk: Uint8Array, _encoding, done): void {
      listener.write(chunk);
      done(null, chunk);
    },
  });
  // Errors reach whoever reads `told`; the callback only keeps the pipeline from throwing them again.
  return pipeline(content, told, () => undefined);
}

type Chunks = AsyncGenerator<Uint8Array, void, undefined>;

/** Where the exact bytes of a layer's tar can be had. */
type TarOrigin =
  | { readonly type: "blob"; readonly blob: Descriptor }
  | { readonly type: "registry" }
  | { readonly type: "snapshot" };

/**
 * A blob comes first: of a layer that others made, the snapshot holds the files but not the bytes of their tar.
 * @throws LOCAL_LAYER_MISSING
 */
async function findTar(
  place: ExportPlace,
  layer: ImageLayer,
  { fetchLayer }: ExportOptions,
): Promise<TarOrigin> {
  const [blob] = await findLayerBlobs(place.store, layer);
  if (blob !== undefined) return { type: "blob", blob };
  const snapshot = await place.snapshots.stat(layer.chainId);
  if (snapshot?.reproducible === true) return { type: "snapshot" };
  if (layer.published === undefined || fetchLayer === undefined) throw layerMissing(place, layer);
  return { type: "registry" };
}

/**
 * The layer's tar, refused at its end unless it is exactly the one that the config names.
 * @throws LOCAL_LAYER_MISSING; while reading LOCAL_LAYER_CHANGED
 */
async function openTar(
  place: ExportPlace,
  layer: ImageLayer,
  options: ExportOptions & Pick<LayerTarOptions, "isPassing">,
): Promise<Chunks> {
  const origin = await findTar(place, layer, options);
  if (origin.type === "snapshot") {
    const { snapshots } = place;
    const { thread, isPassing = false } = options;
    const tar = snapshots.openTar(layer.chainId, { isPassing });
    const made = () => layerTarChunks(snapshots.diff(layer.chainId), { thread, isPassing });
    return verifyTar(tar ?? made(), layer);
  }
  const blob = origin.type === "blob" ? origin.blob : await ensureLayerBlob(place, layer, options);
  const { content } = await decompress(await place.store.blobs.open(blob.digest));
  return verifyTar(content, layer);
}

async function* verifyTar(chunks: AsyncIterable<Uint8Array>, layer: ImageLayer): Chunks {
  const digester = new Digester();
  yield* digestChunks(chunks, digester);
  const found = digester.digest();
  if (found !== layer.diffId) throw layerChanged(layer, found);
}

/** What was promised as `size` is that long, too. */
async function* sized(chunks: Chunks, layer: ImageLayer, size: number): Chunks {
  let found = 0;
  for await (const chunk of chunks) {
    found += chunk.length;
    yield chunk;
  }
  if (found !== size) throw layerChanged(layer, `${String(found)} bytes`);
}

async function countTar(chunks: Chunks): Promise<number> {
  let size = 0;
  for await (const chunk of chunks) size += chunk.length;
  return size;
}

function layerChanged(layer: ImageLayer, found: string): Error {
  const { diffId: expected } = layer;
  return localError("LOCAL_LAYER_CHANGED", `make the tar of layer ${expected} again`, {
    hint: "its blob is gone or its files were changed behind our back; pull or build the image again",
    details: { expected, found },
  });
}
