import { pipeline, Readable, Transform, type TransformCallback } from "node:stream";
import { createGunzip } from "node:zlib";
import { errnoOf, type LayerCompression } from "../core/index.ts";
import { ByteSource } from "./byte-source.ts";
import { layerError } from "./errors.ts";
import { findProgram, pipeThrough } from "./filter-program.ts";
import { archiveLimits, beyondLimit } from "./limits.ts";
import { decodeZstd } from "./zstd.ts";

/** How bytes are compressed, told by their first ones; "none" for everything unknown. */
export type DetectedCompression = LayerCompression | "bzip2" | "xz";

/** Bytes that `detectCompression` wants to see. */
export const detectionLength = 6;

const magics: readonly (readonly [DetectedCompression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

export function detectCompression(start: Uint8Array): DetectedCompression {
  // A zstd skippable frame: 0x184D2A50 to 5F, little-endian; zstd:chunked and estargz-like tools begin with one.
  const [first = 0, second, third, fourth] = start;
  if ((first & 0xf0) === 0x50 && second === 0x2a && third === 0x4d && fourth === 0x18)
    return "zstd";
  const found = magics.find(([, magic]) => magic.every((byte, index) => start[index] === byte));
  return found?.[0] ?? "none";
}

export interface DecompressOptions {
  /** LAYER_LIMIT_EXCEEDED beyond so many bytes of output; by default as `archiveLimits` says. */
  readonly maxBytes?: number;
}

/**
 * The plain bytes of a stream whose compression is told by its content, and what it was. gzip may have many members, zstd
 * many frames. xz and bzip2 need the program of that name.
 * The caller reads `content` to its end or destroys it, which destroys `input`.
 * @throws LAYER_COMPRESSION_UNSUPPORTED; while reading LAYER_COMPRESSION_BROKEN, LAYER_TRUNCATED, LAYER_LIMIT_EXCEEDED
 */
export async function decompress(
  input: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): Promise<{ readonly compression: DetectedCompression; readonly content: Readable }> {
  const { maxBytes = archiveLimits().bytes } = options;
  const source = new ByteSource(input);
  const start = await source.take(detectionLength);
  const compression = detectCompression(start);
  source.putBack(start);
  const decoder = openDecoder(compression);
  if (decoder === undefined) {
    await source.close();
    throw unsupported(compression);
  }
  const raw = Readable.from(source, { objectMode: false, highWaterMark: 1 << 18 });
  const content = limitBytes(maxBytes);
  // An error on the way arrives at `content`, and destroying `content` ends the whole way.
  switch (decoder.type) {
    case "nothing":
      pipeline(raw, content, ignoreTold);
      break;
    case "stream":
      decoder.stream.on("error", (error) => content.destroy(decodingError(compression, error)));
      content.once("close", () => decoder.stream.destroy());
      // zlib's output ends before its input where zeros follow, which `pipeline` would take for a failure.
      pipeline(raw, decoder.stream, ignoreTold);
      decoder.stream.pipe(content);
      break;
    case "generator":
      pipeline(Readable.from(decoder.decode(raw), { objectMode: false }), content, ignoreTold);
      break;
  }
  return { compression, content };
}

function ignoreTold(): void {
  // `content` was destroyed with the error, and its reader sees it there.
}

type Decoder =
  | { readonly type: "nothing" }
  | { readonly type: "stream"; readonly stream: Transform }
  | {
      readonly type: "generator";
      readonly decode: (input: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
    };

/** undefined where the program that it takes is not there. */
function openDecoder(compression: DetectedCompression): Decoder | undefined {
  switch (compression) {
    case "none":
      return { type: "nothing" };
    case "gzip":
      return { type: "stream", stream: createGunzip({ chunkSize: 256 * 1024 }) };
    case "zstd":
      return { type: "generator", decode: decodeZstd };
    case "bzip2":
    case "xz": {
      const program = findProgram(compression);
      if (program === undefined) return undefined;
      const filter = { program, args: ["-dc"], attempt: "decompress" };
      return { type: "generator", decode: (input) => pipeThrough(filter, input) };
    }
  }
}

function limitBytes(limit: number): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback): void {
      size += chunk.length;
      if (size <= limit) done(null, chunk);
      else done(tooLarge(limit));
    },
  });
}

function tooLarge(limit: number): Error {
  return beyondLimit(`it has more than ${String(limit)} bytes when it is decompressed`, {
    value: limit,
    setting: "TSBUILD_MAX_UNPACKED_SIZE",
  });
}

function decodingError(compression: DetectedCompression, error: Error): Error {
  // What the input fails with goes the same way.
  if (errnoOf(error)?.startsWith("Z_") !== true) return error;
  // zlib's word for input that ends before its end mark.
  const code = errnoOf(error) === "Z_BUF_ERROR" ? "LAYER_TRUNCATED" : "LAYER_COMPRESSION_BROKEN";
  return layerError(code, `decompress ${compression}: ${error.message}`, {
    hint: "the download or the file is incomplete or damaged; get it again",
    details: { compression },
    cause: error,
  });
}

function unsupported(compression: DetectedCompression): Error {
  return layerError("LAYER_COMPRESSION_UNSUPPORTED", `decompress ${compression}`, {
    hint: `install the program ${compression}`,
    details: { compression },
  });
}
