import { pipeline, Readable, type Transform } from "node:stream";
import type { Decompress } from "fzstd";
import { errnoOf, isTsbuildError } from "../core/index.ts";
import { ByteSource } from "./byte-source.ts";
import { layerError } from "./errors.ts";
import { findProgram, pipeThrough } from "./filter-program.ts";
import { XxHash64 } from "./xxhash64.ts";
import { zstdPieces, type ZstdPiece } from "./zstd-frames.ts";

/** What Node has since 22.15. */
interface NodeZstd {
  readonly createZstdDecompress?: () => Transform;
  readonly createZstdCompress?: (options: { readonly params: Record<number, number> }) => Transform;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

/** Not an import: those of things that Node 20 does not have make it load zlib, which a cached build does not need. */
function nodeZstd(): NodeZstd {
  return process.getBuiltinModule("node:zlib") as NodeZstd;
}

/**
 * The content of a zstd stream. Decoded by Node where it can; else by the program `zstd`, which is seven times as fast as
 * the decoder in JavaScript that serves where neither is there.
 * @throws what `zstdPieces` throws
 */
export async function* decodeZstd(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { createZstdDecompress } = nodeZstd();
  const source = new ByteSource(input);
  const pieces = zstdPieces(source);
  const program = createZstdDecompress === undefined ? findProgram("zstd") : undefined;
  try {
    if (createZstdDecompress !== undefined) yield* pipeTo(createZstdDecompress(), bytesOf(pieces));
    else if (program === undefined) yield* decodeHere(pieces);
    else yield* pipeThrough({ program, args: ["-dcq"], attempt: "decompress" }, bytesOf(pieces));
  } catch (error) {
    throw isZstdError(error) ? broken(error) : error;
  } finally {
    await source.close();
  }
}

async function* bytesOf(pieces: AsyncIterable<ZstdPiece>): AsyncGenerator<Buffer, void, undefined> {
  for await (const { bytes } of pieces) yield bytes;
}

/** Levels are zstd's own, 0 to 22; 0 means its default. */
const defaultLevel = 3;

/** What zstd of that level is made at. */
export function zstdLevel(level?: number): number {
  return level === undefined || level === 0 ? defaultLevel : level;
}

/**
 * One zstd frame. The bytes depend on input, level and encoder version alone: on the version of Node's zstd or, before
 * Node 22.15, on that of the program `zstd`.
 * @throws LAYER_COMPRESSION_UNSUPPORTED when there is neither
 */
export function compressZstd(input: AsyncIterable<Uint8Array>, level?: number): Readable {
  return Readable.from(zstdChunks(input, zstdLevel(level)), {
    objectMode: false,
    highWaterMark: 1 << 20,
  });
}

async function* zstdChunks(
  input: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { createZstdCompress, constants } = nodeZstd();
  const parameter = constants.ZSTD_c_compressionLevel;
  if (createZstdCompress !== undefined && parameter !== undefined) {
    yield* pipeTo(createZstdCompress({ params: { [parameter]: level } }), input);
    return;
  }
  const program = findProgram("zstd");
  if (program === undefined) throw noEncoder();
  // Its bytes are the same with any number of threads.
  const args = ["-cq", "-T0", "--ultra", `-${String(level)}`];
  yield* pipeThrough({ program, args, attempt: "compress" }, input);
}

async function* pipeTo(
  transform: Transform,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, undefined> {
  // Whatever fails on the way arrives at `transform`, and its end, also an early one, ends the whole way.
  pipeline(Readable.from(input, { objectMode: false }), transform, () => undefined);
  yield* transform as AsyncIterable<Buffer>;
}

/** The decoder is loaded when it is needed. */
async function* decodeHere(
  pieces: AsyncIterable<ZstdPiece>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { Decompress } = await import("fzstd");
  let frame: FrameDecoder | undefined;
  for await (const piece of pieces) {
    if (piece.part === "header") {
      if (frame !== undefined) yield* frame.end();
      frame = new FrameDecoder(Decompress, piece.contentSize);
    }
    if (frame !== undefined) yield* frame.push(piece);
  }
  if (frame !== undefined) yield* frame.end();
}

/**
 * One frame, by a decoder that looks at neither length nor checksum: we do. A piece gives 128 KiB at most, so its parts
 * need no waiting place of their own; those of a frame of a few bytes come only with its end.
 */
class FrameDecoder {
  readonly #decoder: Decompress;
  readonly #parts: Uint8Array[] = [];
  readonly #content = new XxHash64();
  readonly #size: number | undefined;
  #checksum: number | undefined;

  constructor(Decoder: typeof Decompress, size: number | undefined) {
    this.#decoder = new Decoder((part) => void this.#parts.push(part));
    this.#size = size;
  }

  /** @throws LAYER_COMPRESSION_BROKEN */
  push({ part, bytes }: ZstdPiece): readonly Uint8Array[] {
    if (part === "checksum") this.#checksum = bytes.readUInt32LE();
    return this.#push(bytes, false);
  }

  /** @throws LAYER_COMPRESSION_BROKEN */
  end(): readonly Uint8Array[] {
    const parts = this.#push(new Uint8Array(0), true);
    if (this.#size !== undefined && this.#content.size !== this.#size)
      throw broken(new Error("the content is not as long as its header says"));
    const found = Number(this.#content.digest() & 0xffffffffn);
    if (this.#checksum !== undefined && this.#checksum !== found)
      throw broken(new Error("the content is not what its checksum says"));
    return parts;
  }

  #push(bytes: Uint8Array, isLast: boolean): readonly Uint8Array[] {
    try {
      this.#decoder.push(bytes, isLast);
    } catch (error) {
      throw broken(error);
    }
    const parts = this.#parts.splice(0);
    for (const part of parts) this.#content.update(part);
    return parts;
  }
}

function isZstdError(error: unknown): boolean {
  const code = isTsbuildError(error) ? undefined : errnoOf(error);
  return code?.startsWith("ZSTD_") === true || code?.startsWith("ERR_ZLIB") === true;
}

function broken(error: unknown): Error {
  const told = error instanceof Error ? error.message : String(error);
  return layerError("LAYER_COMPRESSION_BROKEN", `decompress zstd: ${told}`, {
    hint: "the download or the file is damaged; get it again",
    details: { compression: "zstd" },
    cause: error,
  });
}

function noEncoder(): Error {
  return layerError("LAYER_COMPRESSION_UNSUPPORTED", "compress with zstd", {
    hint: "install the program zstd, use Node 22.15 or later, or compress with gzip",
    details: { compression: "zstd" },
  });
}
