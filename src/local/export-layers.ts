import { isTsbuildError, type Digest, type DiffId } from "../core/index.ts";
import type { ContentSource, Descriptor } from "../image/index.ts";
import { type ExportedLayer, exportLayer, type ExportPlace } from "./export-layer.ts";
import type { ExportOptions, StackLayer } from "./types.ts";

/** See `LocalImages.exportLayers`. */
export async function exportLayers(
  place: ExportPlace,
  wanted: readonly StackLayer[],
  options: ExportOptions,
): Promise<{ readonly layers: ReadonlyMap<DiffId, Descriptor>; readonly source: ContentSource }> {
  const layers = new Map<DiffId, Descriptor>();
  const blobs = new Map<Digest, ExportedLayer>();
  for (const layer of wanted) {
    options.signal?.throwIfAborted();
    const exported = await exportIfKnown(place, layer, options);
    if (exported === undefined) continue;
    layers.set(layer.diffId, exported.descriptor);
    blobs.set(exported.descriptor.digest, exported);
  }
  return {
    layers,
    source: {
      label: "the layers of the build",
      fetch: async ({ digest }, signal) =>
        blobs.get(digest)?.open(signal) ?? place.store.blobs.open(digest),
      resolve: () => Promise.resolve(undefined),
    },
  };
}

async function exportIfKnown(
  place: ExportPlace,
  layer: StackLayer,
  options: ExportOptions,
): Promise<ExportedLayer | undefined> {
  try {
    return await exportLayer(place, { ...layer, published: layer.published }, options);
  } catch (error) {
    if (isTsbuildError(error, "LOCAL_LAYER_MISSING")) return undefined;
    throw error;
  }
}
