import { isTsbuildError } from "../../core/index.ts";
import { ByteSource } from "../byte-source.ts";
import { decompress } from "../compression.ts";
import { peekGzip, peekLength } from "../peek-gzip.ts";
import type { LayerEntryWithContent } from "../types.ts";
import { blockSize } from "./format.ts";
import { isZeroBlock, verifyChecksum } from "./read-header.ts";
import { readLayerTar } from "./read.ts";

/**
 * A tar, or anything compressed, as entries; everything else as the bytes that it is. Whatever is compressed must be a
 * tar, so that a broken one is not taken for something else.
 * @throws LAYER_COMPRESSION_UNSUPPORTED; while reading entries what `readLayerTar` throws
 */
export async function openTarOrBytes(
  input: AsyncIterable<Uint8Array>,
): Promise<
  | { readonly type: "tar"; readonly entries: AsyncIterable<LayerEntryWithContent> }
  | { readonly type: "bytes"; readonly content: AsyncIterable<Uint8Array> }
> {
  const { compression, content } = await decompress(input);
  if (compression !== "none") return { type: "tar", entries: readLayerTar(content) };
  const source = new ByteSource(content);
  const block = await source.take(blockSize);
  source.putBack(block);
  return beginsTar(block)
    ? { type: "tar", entries: readLayerTar(source) }
    : { type: "bytes", content: source };
}

function beginsTar(block: Buffer): boolean {
  if (block.length < blockSize) return false;
  // A tar without entries is nothing but zeros.
  if (isZeroBlock(block)) return true;
  try {
    verifyChecksum(block);
    return true;
  } catch (error) {
    if (isTsbuildError(error, "LAYER_HEADER_INVALID")) return false;
    throw error;
  }
}

function beginsEntry(start: Buffer): boolean {
  const block = start.subarray(0, blockSize);
  return beginsTar(block) && !isZeroBlock(block);
}

/**
 * The entries of `input` when it is a tar, plain or compressed, as its content tells; undefined for any other file.
 * Names do not count: ADD unpacks an archive called `data` and copies a text called `x.tar.gz`.
 *
 * @throws LAYER_COMPRESSION_UNSUPPORTED when a compression that we cannot read hides what it is; LAYER_COMPRESSION_BROKEN or
 * LAYER_TRUNCATED when it began as a tar
 */
export async function openIfTar(
  input: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<LayerEntryWithContent> | undefined> {
  const packed = new ByteSource(input);
  const start = await packed.take(peekLength);
  packed.putBack(start);
  const { compression, content } = await decompress(packed);
  const source = new ByteSource(content);
  try {
    const block = await source.take(blockSize);
    if (beginsEntry(block)) {
      source.putBack(block);
      return readLayerTar(source);
    }
  } catch (error) {
    const isOther =
      isTsbuildError(error, "LAYER_HEADER_INVALID") ||
      isTsbuildError(error, "LAYER_COMPRESSION_BROKEN") ||
      isTsbuildError(error, "LAYER_TRUNCATED");
    // An archive that is damaged further back is not taken for a file, however small it is.
    if (!isOther || (compression === "gzip" && beginsEntry(peekGzip(start)))) throw error;
  }
  await source.close();
  return undefined;
}
