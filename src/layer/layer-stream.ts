import { diffId, Digester, type DiffId } from "../core/index.ts";
import { decompress, type DecompressOptions, type DetectedCompression } from "./compression.ts";
import { readLayerTar } from "./tar/read.ts";
import type { LayerEntryWithContent } from "./types.ts";

/** A layer that is being read: what a snapshotter applies. */
export interface OpenedLayer {
  readonly compression: DetectedCompression;
  /** May be walked once. */
  readonly entries: AsyncIterable<LayerEntryWithContent>;
  /** Digest and size of the uncompressed tar as it was read; to be asked after the last entry. */
  finish(): Promise<{ readonly diffId: DiffId; readonly tarSize: number }>;
}

/**
 * Reads a layer blob: decompressed by its content, hashed on the way.
 * @throws what `decompress` and, while walking, `readLayerTar` throw
 */
export async function openLayer(
  input: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): Promise<OpenedLayer> {
  const { compression, content } = await decompress(input, options);
  // Whoever reads is told of it; when the work fails before the reading begins, nobody is there yet.
  content.on("error", () => undefined);
  const digester = new Digester();
  let hashed: { readonly diffId: DiffId; readonly tarSize: number } | undefined;
  return {
    compression,
    entries: readLayerTar(digestChunks(content, digester)),
    finish: async () => {
      // Entries that were not walked to their end leave bytes behind, which belong to the digest.
      for await (const chunk of content as AsyncIterable<Buffer>) digester.update(chunk);
      hashed ??= { tarSize: digester.size, diffId: diffId(digester.digest()) };
      return hashed;
    },
  };
}

/** Passes the chunks on while `digester` sees them. */
export async function* digestChunks(
  chunks: AsyncIterable<Uint8Array>,
  digester: Digester,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    digester.update(chunk);
    yield chunk;
  }
}
