import { type Digest, Digester, digestMismatch, shortDigest } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { decompress } from "../layer/index.ts";
import { type ImageLayer, layersOf } from "./image-layers.ts";
import { ensureLayerBlob, type LayerPlace } from "./layer-blobs.ts";
import type { LocalImage } from "./types.ts";

/** See `LocalImages.checkLayers`. */
export async function checkLayers(
  place: LayerPlace,
  image: LocalImage,
  signal?: AbortSignal,
): Promise<void> {
  for (const layer of await layersOf(place.store, image)) {
    const blob = await ensureLayerBlob(place, layer, { signal });
    if (!(await isProven(place, layer, blob))) await prove(place, layer, { blob, signal });
  }
}

/** The digest of a plain tar is the diffId. Blobs are recorded for a layer once they were read as it. */
async function isProven(place: LayerPlace, layer: ImageLayer, blob: Descriptor): Promise<boolean> {
  const { digest } = blob;
  if ((digest as string) === layer.diffId) return true;
  const proven = await place.store.layerBlobs.get(layer.diffId);
  return proven.some((known) => known.digest === digest);
}

async function prove(
  place: LayerPlace,
  layer: ImageLayer,
  options: { readonly blob: Descriptor; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { mediaType, digest, size } = options.blob;
  const found = await contentDigest(place, digest, options.signal);
  if (found !== layer.diffId)
    throw digestMismatch(layer.diffId, found, `layer ${shortDigest(layer.diffId)}`);
  await place.store.layerBlobs.add(layer.diffId, { mediaType, digest, size });
}

async function contentDigest(
  place: LayerPlace,
  blob: Digest,
  signal: AbortSignal | undefined,
): Promise<Digest> {
  const { content } = await decompress(await place.store.blobs.open(blob));
  const digester = new Digester();
  for await (const chunk of content as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    digester.update(chunk);
  }
  return digester.digest();
}
