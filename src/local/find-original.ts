import { isConfigType, isIndexType, isManifestType } from "../core/index.ts";
import {
  maxConfigSize,
  maxManifestSize,
  parseImageConfig,
  parseManifestOrIndex,
  type Descriptor,
  type Manifest,
} from "../image/index.ts";
import type { Store } from "../store/index.ts";
import { readIfHere } from "./image-layers.ts";
import type { LocalImage } from "./types.ts";

/** See `LocalImages.findOriginal`. */
export async function findOriginal(
  store: Store,
  image: LocalImage,
): Promise<Descriptor | undefined> {
  const root = image.root ?? image.manifest;
  return root !== undefined && (await isWhole(store, root)) ? root : undefined;
}

/** `known`: indexes that are whole, which others may list a thousand times. */
async function isWhole(
  store: Store,
  descriptor: Descriptor,
  { path = [], known = new Set() }: { path?: readonly string[]; known?: Set<string> } = {},
): Promise<boolean> {
  const { mediaType, digest } = descriptor;
  if (known.has(digest)) return true;
  if (isConfigType(mediaType) || path.includes(digest)) return false;
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) return isHere(store, descriptor);
  const bytes = await readIfHere(store, descriptor, maxManifestSize);
  if (bytes === undefined) return false;
  const document = parseManifestOrIndex(bytes, mediaType);
  if (document.type === "manifest") return isWholeImage(store, document.manifest);
  for (const entry of document.index.manifests) {
    if (!(await isWhole(store, entry, { path: [...path, digest], known }))) return false;
  }
  known.add(digest);
  return true;
}

async function isWholeImage(store: Store, manifest: Manifest): Promise<boolean> {
  const { config, layers } = manifest;
  for (const blob of [config, ...layers]) {
    if (!(await isHere(store, blob))) return false;
  }
  if (layers.length > 0 || !isConfigType(config.mediaType)) return true;
  // A draft lists no layers, because they have no form yet.
  const bytes = await readIfHere(store, config, maxConfigSize);
  return bytes !== undefined && parseImageConfig(bytes).diffIds.length === 0;
}

async function isHere({ blobs }: Store, { digest, size }: Descriptor): Promise<boolean> {
  return (await blobs.size(digest)) === size;
}
