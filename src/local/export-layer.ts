import { pipeline, Readable, Transform } from "node:stream";
import { Digester, layerCompression, mediaTypes, vouchFor } from "../core/index.ts";
import { type Descriptor, plainDescriptor } from "../image/index.ts";
import {
  compressGzip,
  compressZstd,
  decompress,
  digestChunks,
  gzipLevel,
  layerTarChunks,
  type LayerTarOptions,
  zstdLevel,
} from "../layer/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { LayerBlob } from "../store/index.ts";
import { localError } from "./errors.ts";
import type { ImageLayer } from "./image-layers.ts";
import {
  ensureLayerBlob,
  fetchPublished,
  findLayerBlobs,
  isHere,
  type LayerPlace,
  layerMissing,
} from "./layer-blobs.ts";
import type { BlobListener, ExportOptions, FetchLayer, PublishedLayer } from "./types.ts";

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
    levelOf: gzipLevel,
    mediaType: mediaTypes.ociLayerGzip,
  },
  zstd: {
    compress: (tar: Chunks, { compressionLevel: level }: ExportOptions): Readable =>
      compressZstd(tar, level),
    levelOf: zstdLevel,
    mediaType: mediaTypes.ociLayerZstd,
  },
} as const;

/** `ExportOptions` of layers that do not leave as plain tars. */
type CompressOptions = ExportOptions & { readonly compression: keyof typeof compressions };

/**
 * Chooses the form of one layer: that in which it was published, where that serves; else a blob that was made here just
 * as it is asked for, level included; else a new one. So what leaves never depends on what left before. Plain tars are
 * not written: their digest is the diffId.
 */
export async function exportLayer(
  place: ExportPlace,
  layer: ImageLayer,
  options: ExportOptions,
): Promise<ExportedLayer> {
  const { compression } = options;
  const published = await publishedLayer(place, layer, options);
  if (published !== undefined) return published;
  if (compression !== "none") return compressedLayer(place, layer, { ...options, compression });
  const isPlain = ({ mediaType }: Descriptor): boolean => layerCompression(mediaType) === "none";
  const plain = (await findLayerBlobs(place.store, layer)).find(isPlain);
  return plain === undefined ? plainLayer(place, layer, options) : storedLayer(place, plain);
}

/** The layer in the form in which it was published, unless it has to leave in another one or cannot be had. */
async function publishedLayer(
  place: ExportPlace,
  layer: ImageLayer,
  options: ExportOptions,
): Promise<ExportedLayer | undefined> {
  const { published } = layer;
  if (published === undefined) return undefined;
  const isKept = isAsked(published, options) || (options.reuse && isReusable(published, options));
  if (!isKept) return undefined;
  // What a cache of another machine has of it says nothing about a layer that was built here after all.
  if (published.origins !== undefined && (await isBuiltHere(place, layer))) return undefined;
  if (await isHere(place.store, published)) return storedLayer(place, published);
  const { fetchLayer } = options;
  return fetchLayer && fetchedLayer(place, published, { ...options, fetchLayer });
}

/** Whether nothing else was asked for; nobody knows the level of what others compressed. */
function isAsked({ mediaType }: Descriptor, { compression, ...options }: ExportOptions): boolean {
  if (layerCompression(mediaType) !== compression) return false;
  return compression === "none" || options.compressionLevel === undefined;
}

/**
 * A blob of the layer that was made here at the level that is asked for. One of unknown level serves where no level is
 * forced, and only of a layer that came from elsewhere: earlier versions kept whatever level came first.
 */
async function findCompressed(
  place: ExportPlace,
  layer: ImageLayer,
  { compression, compressionLevel, reuse }: CompressOptions,
): Promise<LayerBlob | undefined> {
  const isRight = (blob: Descriptor): boolean => layerCompression(blob.mediaType) === compression;
  const present = (await findLayerBlobs(place.store, layer)).filter(isRight);
  const made = present.find((blob) => isMadeAt(blob, compression, compressionLevel));
  if (made !== undefined) return made;
  const isFree = layer.published === undefined && (reuse || compressionLevel === undefined);
  const unknown = isFree ? present.find(({ levels }) => levels === undefined) : undefined;
  return unknown === undefined || (await isBuiltHere(place, layer)) ? undefined : unknown;
}

/** Whether compressing the layer here, at that level or the default one, is known to have given this blob. */
export function isMadeAt(
  { levels = [] }: LayerBlob,
  compression: keyof typeof compressions,
  level: number | undefined,
): boolean {
  if (levels.length === 0) return false;
  // The encoder is loaded where it has to be.
  if (compression === "gzip" && level === undefined && levels.includes("own")) return true;
  return levels.includes(compressions[compression].levelOf(level));
}

async function isBuiltHere({ snapshots }: ExportPlace, { chainId }: ImageLayer): Promise<boolean> {
  return (await snapshots.stat(chainId))?.reproducible === true;
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
  published: PublishedLayer,
  options: ExportOptions & { readonly fetchLayer: FetchLayer },
): ExportedLayer {
  return {
    descriptor: published,
    open: async (signal = options.signal) => {
      await fetchPublished(place, published, { ...options, signal });
      return place.store.blobs.open(published.digest);
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

/** Compresses the layer into a blob, once: the next export at this level finds it. */
async function compressedLayer(
  place: ExportPlace,
  layer: ImageLayer,
  options: CompressOptions,
): Promise<ExportedLayer> {
  const { signal, compression, compressionLevel } = options;
  const { compress, levelOf, mediaType } = compressions[compression];
  const find = async (): Promise<Descriptor | undefined> => {
    const found = await findCompressed(place, layer, options);
    return found && plainDescriptor(found);
  };
  const work = async (): Promise<Descriptor> => {
    const present = await find();
    if (present !== undefined) return present;
    // Of what gzip gets it keeps nothing.
    const tar = await openTar(place, layer, { ...options, isPassing: compression === "gzip" });
    const compressed = compress(tar, options);
    const listener = await options.listenTo?.(layer.diffId);
    try {
      const heard = listener === undefined ? compressed : tellOf(compressed, listener);
      const written = await place.store.blobs.write(heard, undefined, signal);
      const descriptor = { mediaType, ...written };
      const levels = [levelOf(compressionLevel)];
      await place.store.layerBlobs.add(layer.diffId, { ...descriptor, levels });
      listener?.finish(descriptor);
      return descriptor;
    } catch (error) {
      listener?.cancel();
      throw error;
    }
  };
  const present = await find();
  if (present !== undefined) return storedLayer(place, present);
  const name = `${compression} ${String(compressionLevel ?? "default")} ${layer.diffId}`;
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
