import { isTsbuildError } from "../../core/index.ts";
import { ByteSource } from "../byte-source.ts";
import { decompress } from "../compression.ts";
import type { LayerEntryWithContent } from "../types.ts";
import { blockSize } from "./format.ts";
import { isZeroBlock, verifyChecksum } from "./read-header.ts";
import { readLayerTar } from "./read.ts";

/**
 * The entries of `input` when it is a tar, plain or compressed, as its content tells; undefined for any other file.
 * Names do not count: ADD unpacks an archive called `data` and copies a text called `x.tar.gz`.
 *
 * @throws LAYER_COMPRESSION_UNSUPPORTED when a compression that we cannot read hides what it is
 */
export async function openIfTar(
  input: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<LayerEntryWithContent> | undefined> {
  const { content } = await decompress(input);
  const source = new ByteSource(content);
  try {
    const block = await source.take(blockSize);
    if (block.length === blockSize && !isZeroBlock(block)) {
      verifyChecksum(block);
      source.putBack(block);
      return readLayerTar(source);
    }
  } catch (error) {
    const isOther =
      isTsbuildError(error, "LAYER_HEADER_INVALID") ||
      isTsbuildError(error, "LAYER_COMPRESSION_BROKEN") ||
      isTsbuildError(error, "LAYER_TRUNCATED");
    if (!isOther) throw error;
  }
  await source.close();
  return undefined;
}
