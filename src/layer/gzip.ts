import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import type { JobThread } from "../core/index.ts";
import { ByteSource } from "./byte-source.ts";
import { deflateBlocks } from "./deflate/deflate-blocks.ts";
import { canEncode } from "./deflate/encoder.ts";
import { zlibBlocks } from "./zlib-blocks.ts";

/** How gzip is made. */
export interface GzipOptions {
  /**
   * 0 to 9 are zlib's. By default our own encoder does it: quicker than level 1 for no more bytes, and the same ones
   * whatever zlib Node brings; `docs/decisions/0004-own-deflate-encoder.md`.
   */
  readonly level?: number | undefined;
  /** Where there is much, our own encoder works in this one, too, and in more like it where there are cores for them. */
  readonly thread?: JobThread | undefined;
}

/** zlib's level where our own encoder cannot run. */
const quickLevel = 2;

/** What gzip of that level is made by, here and now: by zlib at that level, or by our own encoder. */
export function gzipLevel(level?: number): number | "own" {
  return level ?? (canEncode() ? "own" : quickLevel);
}

/** Bytes that may wait for their reader. */
const ahead = 1024 * 1024;

// Deflate, no flags, no time, no extra flags, operating system unknown.
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** An empty one at a byte border: so no block before has to know whether it is the last. */
const lastBlock = Buffer.from([0x03, 0x00]);

/**
 * One gzip member. The bytes never depend on timing, on how the input arrives or on threads. Nothing is kept of a chunk
 * of the input when the next one is asked for.
 */
export function compressGzip(input: AsyncIterable<Uint8Array>, options: GzipOptions): Readable {
  return Readable.from(gzipChunks(input, options), { objectMode: false, highWaterMark: ahead });
}

async function* gzipChunks(
  input: AsyncIterable<Uint8Array>,
  { level: asked, thread }: GzipOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const level = gzipLevel(asked);
  const source = new ByteSource(input);
  let checksum = 0;
  let size = 0;
  const fill = async (room: Buffer): Promise<Buffer> => {
    const block = room.subarray(0, await source.fill(room));
    checksum = crc32(block, checksum);
    size += block.length;
    return block;
  };
  try {
    yield header;
    yield* level === "own" ? deflateBlocks(fill, thread) : zlibBlocks(fill, level);
    yield Buffer.concat([lastBlock, trailer(checksum, size)]);
  } finally {
    await source.close();
  }
}

function trailer(checksum: number, size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(checksum >>> 0, 0);
  bytes.writeUInt32LE(size % 2 ** 32, 4);
  return bytes;
}
