import { digestOf } from "../../src/core/index.ts";
import { type LayerEntryWithContent, openLayer, writeLayerTar } from "../../src/layer/index.ts";
import type { LayerSource } from "../../src/snapshot/index.ts";
import { buffer } from "node:stream/consumers";
import { Readable } from "node:stream";

/** A pulled layer of these entries, through a real tar. */
export async function layerOf(entries: readonly LayerEntryWithContent[]): Promise<LayerSource> {
  return openLayer(Readable.from([await buffer(writeLayerTar(entries))]));
}

export async function tarDigestOf(
  entries: AsyncIterable<LayerEntryWithContent>,
): Promise<{ readonly digest: string; readonly size: number }> {
  const bytes = await buffer(writeLayerTar(entries));
  return { digest: digestOf(bytes), size: bytes.length };
}
