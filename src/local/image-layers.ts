import { type ChainId, type DiffId, extendChain, isTsbuildError } from "../core/index.ts";
import {
  type Descriptor,
  type ImageConfig,
  type Manifest,
  maxConfigSize,
  maxManifestSize,
  parseImageConfig,
  parseManifest,
} from "../image/index.ts";
import type { Store } from "../store/index.ts";
import type { LocalImage, PublishedLayer, StackLayer } from "./types.ts";

/** One layer of an image and where its bytes may be. */
export interface ImageLayer extends StackLayer {
  /**
   * The blob of this layer in the manifest of the image, or of the one it was built on, or in a cache of another machine:
   * may still be there alone.
   */
  readonly published: PublishedLayer | undefined;
}

/** Layers of the image, bottom first. */
export async function layersOf(store: Store, image: LocalImage): Promise<readonly ImageLayer[]> {
  const published = await publishedLayers(store, image);
  const layers: ImageLayer[] = [];
  let parent: ChainId | undefined;
  for (const [index, diffId] of image.config.diffIds.entries()) {
    const chainId = extendChain(parent, diffId);
    const known = published[index] ?? (await publishedElsewhere(store, diffId));
    layers.push({ diffId, parent, chainId, published: known });
    parent = chainId;
  }
  return layers;
}

/** The blob of a layer that only caches of other machines know of. */
async function publishedElsewhere(
  store: Store,
  diffId: DiffId,
): Promise<PublishedLayer | undefined> {
  const origins = await store.layerOrigins.get(diffId);
  const [first] = origins;
  if (first === undefined) return undefined;
  const { blob } = first;
  const same = origins.filter((origin) => origin.blob.digest === blob.digest);
  return { ...blob, origins: same.map(({ place }) => place), created: first.created };
}

/** The manifest that the image came with; undefined when there is none, or none any more. */
export async function manifestOf(store: Store, image: LocalImage): Promise<Manifest | undefined> {
  return image.manifest === undefined ? undefined : readManifest(store, image.manifest);
}

/**
 * What manifests say about the image's layers. The base's word counts only for layers that are the base's: a manifest
 * may claim anything, but only about its own image.
 */
async function publishedLayers(
  store: Store,
  image: LocalImage,
): Promise<readonly (Descriptor | undefined)[]> {
  const own = await manifestOf(store, image);
  if (own?.layers.length === image.config.diffIds.length) return own.layers;
  const base = image.base === undefined ? undefined : await readManifest(store, image.base);
  const config = base === undefined ? undefined : await readConfig(store, base.config);
  if (base === undefined || config?.diffIds.length !== base.layers.length) return [];
  const isBase = config.diffIds.every((diffId, index) => diffId === image.config.diffIds[index]);
  return isBase ? base.layers : [];
}

async function readManifest(store: Store, descriptor: Descriptor): Promise<Manifest | undefined> {
  const bytes = await readIfHere(store, descriptor, maxManifestSize);
  return bytes === undefined ? undefined : parseManifest(bytes, descriptor.mediaType);
}

async function readConfig(store: Store, descriptor: Descriptor): Promise<ImageConfig | undefined> {
  const bytes = await readIfHere(store, descriptor, maxConfigSize);
  return bytes === undefined ? undefined : parseImageConfig(bytes);
}

/** Bytes of a small document; undefined when it is missing or damaged. */
export async function readIfHere(
  store: Store,
  { digest }: Descriptor,
  limit: number,
): Promise<Buffer | undefined> {
  try {
    return await store.blobs.read(digest, limit);
  } catch (error) {
    if (isTsbuildError(error, "STORE_BLOB_NOT_FOUND")) return undefined;
    throw error;
  }
}
