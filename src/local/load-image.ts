import {
  choosePlatform,
  hostPlatform,
  isConfigType,
  isIndexType,
  isTsbuildError,
  type Digest,
  mediaTypes,
  type Platform,
} from "../core/index.ts";
import {
  checkImage,
  type Descriptor,
  listRunnable,
  maxConfigSize,
  maxManifestSize,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from "../image/index.ts";
import type { Store } from "../store/index.ts";
import type { ImageRecords } from "./image-records.ts";
import type { LocalImage } from "./types.ts";

/** Indexes inside indexes are followed this far. */
const maxDepth = 8;

/** What reading an image's documents needs. */
export interface ImagePlace {
  readonly store: Store;
  readonly records: ImageRecords;
}

/**
 * The image that a name's descriptor stands for: a config, a manifest, or the best of those images of an index that are
 * here. Without a `platform` the host's is preferred, but any other does. undefined when its documents are not here.
 * @throws IMAGE_INVALID and the like for documents that are here and broken
 */
export async function loadImage(
  place: ImagePlace,
  root: Descriptor,
  platform?: Platform,
): Promise<LocalImage | undefined> {
  const found = await unlessMissing(async () => {
    if (isConfigType(root.mediaType)) return loadConfig(place, root.digest);
    const manifest = await chooseManifest(place.store, root, platform);
    return manifest === undefined ? undefined : loadManifest(place, manifest);
  });
  return found === undefined ? undefined : { ...found, root };
}

/** The image of a config digest, with what its record knows; undefined when there is no such config. */
export async function loadImageById(
  place: ImagePlace,
  id: Digest,
): Promise<LocalImage | undefined> {
  return unlessMissing(async () => loadConfig(place, id));
}

/** All images here below a descriptor, each with its manifest. */
export async function loadAllImages(
  place: ImagePlace,
  root: Descriptor,
): Promise<readonly LocalImage[]> {
  if (!isIndexType(root.mediaType)) {
    const image = await loadImage(place, root);
    return image === undefined ? [] : [image];
  }
  return (await loadIndexImages(place, root)).map(({ image }) => image);
}

/** All images of an index that are here, each with its entry there. */
export async function loadIndexImages(
  place: ImagePlace,
  root: Descriptor,
): Promise<readonly { readonly image: LocalImage; readonly descriptor: Descriptor }[]> {
  const images: { readonly image: LocalImage; readonly descriptor: Descriptor }[] = [];
  const manifests = (await unlessMissing(async () => listManifests(place.store, root))) ?? [];
  for (const descriptor of manifests) {
    const image = await unlessMissing(async () => loadManifest(place, descriptor));
    if (image !== undefined) images.push({ image: { ...image, root }, descriptor });
  }
  return images;
}

async function loadConfig(place: ImagePlace, id: Digest): Promise<LocalImage> {
  const configBytes = await place.store.blobs.read(id, maxConfigSize);
  const config = parseImageConfig(configBytes);
  const { manifest, base } = (await place.records.get(id)) ?? {};
  return { id, config, configBytes, ...(manifest && { manifest }), ...(base && { base }) };
}

async function loadManifest(place: ImagePlace, descriptor: Descriptor): Promise<LocalImage> {
  const { store, records } = place;
  const { mediaType, digest, size } = descriptor;
  const manifest = parseManifest(await store.blobs.read(digest, maxManifestSize), mediaType);
  const id = manifest.config.digest;
  const configBytes = await store.blobs.read(id, maxConfigSize);
  const config = parseImageConfig(configBytes);
  if (manifest.layers.length === 0 && config.diffIds.length > 0) {
    // A draft: built here, its layers in no form yet.
    const { base } = (await records.get(id)) ?? {};
    const { annotations } = manifest;
    return { id, config, configBytes, ...(base && { base }), ...(annotations && { annotations }) };
  }
  checkImage(manifest, config);
  return { id, config, configBytes, manifest: { mediaType, digest, size } };
}

async function chooseManifest(
  store: Store,
  root: Descriptor,
  platform: Platform | undefined,
): Promise<Descriptor | undefined> {
  if (!isIndexType(root.mediaType)) return root;
  const here: Descriptor[] = [];
  for (const manifest of await listManifests(store, root)) {
    if (await store.blobs.has(manifest.digest)) here.push(manifest);
  }
  if (platform !== undefined) return choosePlatform(here, platform);
  return choosePlatform(here, hostPlatform()) ?? here[0];
}

/**
 * Manifests of runnable images in an index, also those that are not here. `seen`: indexes that need not be followed again; a
 * few that list each other a thousand times lead to more images than there are atoms.
 */
async function listManifests(
  store: Store,
  root: Descriptor,
  { depth = 0, seen = new Set<Digest>() } = {},
): Promise<readonly Descriptor[]> {
  const bytes = await store.blobs.read(root.digest, maxManifestSize);
  const index = parseIndex(bytes, root.mediaType);
  const manifests: Descriptor[] = [...listRunnable(index)];
  if (depth >= maxDepth) return manifests;
  for (const child of index.manifests) {
    if (!isIndexType(child.mediaType) || seen.has(child.digest)) continue;
    seen.add(child.digest);
    const below = { depth: depth + 1, seen };
    const nested = await unlessMissing(async () => listManifests(store, child, below));
    manifests.push(...(nested ?? []));
  }
  return manifests;
}

/** A blob that is gone or damaged is told by the absence of what needs it. */
async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isTsbuildError(error, "STORE_BLOB_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Descriptor of a config document that was built here. */
export function configDescriptor(image: {
  readonly id: Digest;
  readonly configBytes: Buffer;
}): Descriptor {
  return { mediaType: mediaTypes.ociConfig, digest: image.id, size: image.configBytes.length };
}
