import { PassThrough, pipeline, Readable, Transform, type TransformCallback } from "node:stream";
import * as zlib from "node:zlib";
import { errnoOf, type LayerCompression } from "../core/index.ts";
import { ByteSource } from "./byte-source.ts";
import { decodeByProgram, findProgram } from "./decoder-program.ts";
import { layerError } from "./errors.ts";
import { archiveLimits, beyondLimit } from "./limits.ts";

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
 * The plain bytes of a stream whose compression is told by its content, and what it was. gzip may have many members. xz,
 * bzip2, and zstd on older versions of Node, need the program of that name.
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
  const program = decoder === undefined ? findProgram(programs[compression] ?? "") : undefined;
  if (decoder === undefined && program === undefined) {
    await source.close();
    throw unsupported(compression);
  }
  const raw = Readable.from(source, { objectMode: false, highWaterMark: 1 << 18 });
  const content = limitBytes(maxBytes);
  // Before `pipeline`, which would hand zlib's own error on.
  decoder?.on("error", (error) => content.destroy(decodingError(compression, error)));
  // An error on the way arrives at `content`, and destroying `content` ends the whole way.
  if (compression === "none") pipeline(raw, content, ignoreTold);
  else if (decoder !== undefined) pipeline(raw, decoder, content, ignoreTold);
  else if (program !== undefined)
    pipeline(
      Readable.from(decodeByProgram(program, raw), { objectMode: false }),
      content,
      ignoreTold,
    );
  return { compression, content };
}

function ignoreTold(): void {
  // `content` was destroyed with the error, and its reader sees it there.
}

/** Who decodes what Node itself cannot. */
const programs: Readonly<Partial<Record<DetectedCompression, string>>> = {
  bzip2: "bzip2",
  xz: "xz",
  zstd: "zstd",
};

function openDecoder(compression: DetectedCompression): Transform | undefined {
  const chunkSize = 256 * 1024;
  switch (compression) {
    case "none":
      return new PassThrough();
    case "gzip":
      return zlib.createGunzip({ chunkSize });
    case "zstd":
      // Node 22.15 and later.
      return (zlib as { createZstdDecompress?: () => Transform }).createZstdDecompress?.();
    case "bzip2":
    case "xz":
      return undefined;
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
  // zlib's word for input that ends before its end mark.
  const code = errnoOf(error) === "Z_BUF_ERROR" ? "LAYER_TRUNCATED" : "LAYER_COMPRESSION_BROKEN";
  return layerError(code, `decompress ${compression}: ${error.message}`, {
    hint: "the download or the file is incomplete or damaged; get it again",
    details: { compression },
    cause: error,
  });
}

function unsupported(compression: DetectedCompression): Error {
  const program = programs[compression] ?? compression;
  const newer = compression === "zstd" ? ", or use Node 22.15 or later" : "";
  const hint = `install the program ${program}${newer}`;
  return layerError("LAYER_COMPRESSION_UNSUPPORTED", `decompress ${compression}`, {
    hint,
    details: { compression },
  });
}
