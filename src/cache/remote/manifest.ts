import { digestOf, isConfigType, isIndexType, mediaTypes } from "../../core/index.ts";
import {
  maxConfigSize,
  maxManifestSize,
  parseManifestOrIndex,
  readContent,
  serializeIndex,
  serializeManifest,
  type ContentSource,
  type Descriptor,
} from "../../image/index.ts";
import { cacheError } from "../errors.ts";
import type { CacheContents } from "./contents.ts";
import { maxDocumentSize, parseDocument } from "./document.ts";
import { parseInlineCache } from "./inline.ts";

/** The config document of a cache. */
export const cacheConfigType = "application/vnd.tsbuild.cache.config.v1+json";
/** BuildKit's, whose records name steps in a way that means nothing here. */
const foreignConfigType = "application/vnd.buildkit.cacheconfig.v0";
/** Images of an index that are looked into. */
const maxImages = 64;

/** How the documents of a cache are written. */
export interface CacheForm {
  /** The manifest of an image, which every registry takes; else an index of layers, as BuildKit wrote it once. */
  readonly isImageManifest: boolean;
  /** Docker's media types; with them it is an index. */
  readonly dockerTypes: boolean;
}

/** The manifest of a cache over its config document and layers. */
export function writeManifest(
  form: CacheForm,
  parts: { readonly config: Descriptor; readonly layers: readonly Descriptor[] },
): { readonly root: Descriptor; readonly bytes: Buffer } {
  const { config, layers } = parts;
  const { isImageManifest, dockerTypes } = form;
  const mediaType = isImageManifest
    ? mediaTypes.ociManifest
    : dockerTypes
      ? mediaTypes.dockerIndex
      : mediaTypes.ociIndex;
  const bytes = isImageManifest
    ? serializeManifest({ mediaType, config, layers })
    : serializeIndex({ mediaType, manifests: [...layers, config] });
  return { root: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

/** A cache as it stands in a place. */
export interface StandingCache {
  readonly contents: CacheContents;
  /** What its name stands for. */
  readonly root: Descriptor;
  /** Its own document; absent for a cache in an image. */
  readonly config?: Descriptor;
  /** Every blob that is there as long as the manifest is. */
  readonly blobs: readonly Descriptor[];
}

export interface ReadCacheRequest {
  readonly source: ContentSource;
  readonly root: Descriptor;
  readonly now: Date;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the documents of a cache: two small ones, or the configs of images that are caches too. No layer is touched.
 * @throws CACHE_NOT_FOUND, CACHE_FOREIGN, CACHE_INVALID; IMAGE_* and mismatch codes; what the place throws
 */
export async function readStandingCache(request: ReadCacheRequest): Promise<StandingCache> {
  const { root, source, signal } = request;
  const bytes = await readContent({ source, descriptor: root, limit: maxManifestSize, signal });
  const document = parseManifestOrIndex(bytes, root.mediaType);
  if (document.type === "manifest") {
    return readParts(request, document.manifest);
  }
  const { manifests } = document.index;
  const config = manifests.find(({ mediaType }) => isCacheConfig(mediaType));
  if (config === undefined) return readImages(request, manifests);
  return readParts(request, { config, layers: manifests.filter((each) => each !== config) });
}

function isCacheConfig(mediaType: string): boolean {
  return mediaType === cacheConfigType || mediaType === foreignConfigType;
}

async function readParts(
  { source, root, now, signal }: ReadCacheRequest,
  parts: { readonly config: Descriptor; readonly layers: readonly Descriptor[] },
): Promise<StandingCache> {
  const { config, layers } = parts;
  const { mediaType } = config;
  const blobs = [config, ...layers];
  if (mediaType === cacheConfigType) {
    const limit = maxDocumentSize;
    const bytes = await readContent({ source, descriptor: config, limit, signal });
    return { contents: parseDocument(bytes, layers), root, config, blobs };
  }
  if (isConfigType(mediaType)) {
    const limit = maxConfigSize;
    const bytes = await readContent({ source, descriptor: config, limit, signal });
    return { contents: parseInlineCache(bytes, layers, now), root, blobs };
  }
  const isBuildKits = mediaType === foreignConfigType;
  throw cacheError(
    "CACHE_FOREIGN",
    `read a cache: ${isBuildKits ? "it is BuildKit's" : `its config is ${JSON.stringify(mediaType.slice(0, 100))}`}`,
    {
      hint: "only caches that tsbuild wrote are of use here; --cache-to replaces it by such a one",
    },
  );
}

/** An index of images, each of which may be a cache: those that are none are passed over while one is. */
async function readImages(
  request: ReadCacheRequest,
  manifests: readonly Descriptor[],
): Promise<StandingCache> {
  const found: StandingCache[] = [];
  let failure: Error | undefined;
  for (const image of manifests.slice(0, maxImages)) {
    if (isIndexType(image.mediaType)) continue;
    try {
      found.push(await readStandingCache({ ...request, root: image }));
    } catch (error) {
      request.signal?.throwIfAborted();
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }
  if (found.length === 0) {
    throw (
      failure ?? cacheError("CACHE_NOT_FOUND", "read the caches in an index: it lists no image")
    );
  }
  return {
    contents: {
      records: found.flatMap(({ contents }) => contents.records),
      layers: new Map(found.flatMap(({ contents }) => [...contents.layers])),
    },
    root: request.root,
    blobs: found.flatMap(({ blobs }) => blobs),
  };
}
