import type { ByteSource } from "./byte-source.ts";
import { layerError } from "./errors.ts";

/** What zstd calls Block_Maximum_Size; no block decodes to more. */
const maxBlock = 128 * 1024;

/**
 * Bytes of output that a decoder has to keep for later references. What zstd's own program allows too: level 22 and
 * `--long` need as much, the levels that images are made with need 8 MiB.
 */
export const maxZstdWindow = 128 * 1024 * 1024;

const frameMagic = 0xfd2fb528;
/** 0x184D2A50 to 5F. */
const skippableMagic = 0x184d2a5;

/** A frame that holds nothing, for streams in which there is none to decode. */
const emptyFrame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00]);

/** A part of a frame, as it stands in the stream. */
export interface ZstdPiece {
  /** A checksum is the low half of the content's XXH64. */
  readonly part: "header" | "block" | "checksum";
  readonly bytes: Buffer;
  /** Of a header that tells it: bytes of content. */
  readonly contentSize?: number | undefined;
}

/**
 * A zstd stream in pieces, each a header or one whole block, without skippable frames; it has one frame at least. Decoders
 * thereby see no stream that is cut, wants more memory than allowed, or expands by more than 128 KiB a piece, and need
 * not be trusted to notice. Whether the content is what its checksum says is left to them.
 * @see RFC 8878, section 3
 * @throws LAYER_TRUNCATED, LAYER_COMPRESSION_BROKEN, LAYER_COMPRESSION_UNSUPPORTED, LAYER_LIMIT_EXCEEDED
 */
export async function* zstdPieces(source: ByteSource): AsyncGenerator<ZstdPiece, void, undefined> {
  let frames = 0;
  for (;;) {
    const start = await source.take(4);
    if (start.length === 0) break;
    if (start.length < 4) throw truncated();
    const magic = start.readUInt32LE();
    if (magic >>> 4 === skippableMagic) await skipFrame(source);
    else if (magic === frameMagic) {
      yield* framePieces(source, start);
      frames += 1;
    } else throw broken("no frame begins where one should");
  }
  if (frames === 0) yield { part: "header", bytes: emptyFrame };
}

async function skipFrame(source: ByteSource): Promise<void> {
  const size = (await exactly(source, 4)).readUInt32LE();
  if ((await source.skip(size)) < size) throw truncated();
}

async function* framePieces(
  source: ByteSource,
  magic: Buffer,
): AsyncGenerator<ZstdPiece, void, undefined> {
  const descriptor = await exactly(source, 1);
  const { hasChecksum, contentSize, bytes } = await readFrameHeader(source, descriptor.readUInt8());
  yield { part: "header", bytes: Buffer.concat([magic, descriptor, bytes]), contentSize };
  for (let isLast = false; !isLast;) {
    const header = await exactly(source, 3);
    const fields = header.readUIntLE(0, 3);
    isLast = (fields & 1) === 1;
    const type = (fields >>> 1) & 3;
    const size = fields >>> 3;
    if (type === 3 || size > maxBlock) throw broken("a block is of no known kind or too large");
    // A run is one byte, repeated.
    const content = await exactly(source, type === 1 ? 1 : size);
    yield { part: "block", bytes: Buffer.concat([header, content]) };
  }
  if (hasChecksum) yield { part: "checksum", bytes: await exactly(source, 4) };
}

/** What follows the descriptor: the window, the dictionary, the size of the content. */
async function readFrameHeader(
  source: ByteSource,
  descriptor: number,
): Promise<{
  readonly hasChecksum: boolean;
  readonly contentSize: number | undefined;
  readonly bytes: Buffer;
}> {
  const isSingle = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw broken("a frame header uses a reserved bit");
  const windowLength = isSingle ? 0 : 1;
  const dictionaryLength = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeLength = [isSingle ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const bytes = await exactly(source, windowLength + dictionaryLength + sizeLength);
  const sizeStart = windowLength + dictionaryLength;
  const dictionary = dictionaryLength === 0 ? 0 : bytes.readUIntLE(windowLength, dictionaryLength);
  if (dictionary !== 0) throw dictionaryNeeded(dictionary);
  const contentSize = sizeLength === 0 ? undefined : readSize(bytes.subarray(sizeStart));
  // In a frame of one segment the content is its own window.
  const window = isSingle ? (contentSize ?? 0) : windowSize(bytes.readUInt8());
  if (window > maxZstdWindow) throw windowTooLarge(window);
  return { hasChecksum: (descriptor & 0x04) !== 0, contentSize, bytes };
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** Two bytes count from 256. */
function readSize(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE());
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

async function exactly(source: ByteSource, size: number): Promise<Buffer> {
  const bytes = source.takeNow(size) ?? (await source.take(size));
  if (bytes.length < size) throw truncated();
  return bytes;
}

function truncated(): Error {
  return layerError("LAYER_TRUNCATED", "decompress zstd: the stream ends in the middle", {
    hint: "the download or the file is incomplete; get it again",
    details: { compression: "zstd" },
  });
}

function broken(why: string): Error {
  return layerError("LAYER_COMPRESSION_BROKEN", `decompress zstd: ${why}`, {
    hint: "the download or the file is damaged; get it again",
    details: { compression: "zstd" },
  });
}

function dictionaryNeeded(dictionary: number): Error {
  return layerError(
    "LAYER_COMPRESSION_UNSUPPORTED",
    `decompress zstd: it needs dictionary ${String(dictionary)}`,
    {
      hint: "compress it again without a dictionary",
      details: { compression: "zstd", dictionary },
    },
  );
}

function windowTooLarge(window: number): Error {
  return layerError(
    "LAYER_LIMIT_EXCEEDED",
    `decompress zstd: it needs a window of ${String(window)} bytes`,
    {
      hint: "compress it again with a window of 128 MiB or less, as every level does without --long",
      details: { compression: "zstd", window, limit: maxZstdWindow },
    },
  );
}
