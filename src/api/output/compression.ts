import type { LayerCompression } from "../../core/index.ts";
import { apiError, usageError } from "../errors.ts";

/** How layers are to be compressed when they leave, as flags and fields say it. */
export interface CompressionChoice {
  readonly compression?: LayerCompression;
  readonly compressionLevel?: number;
  /** Layers that came in another form are brought into this one too. */
  readonly forceCompression?: boolean;
}

/** The same before it is checked. */
export interface CompressionWords {
  readonly compression?: string | undefined;
  readonly compressionLevel?: string | undefined;
  readonly forceCompression?: boolean | undefined;
}

const names: Readonly<Record<string, LayerCompression>> = {
  uncompressed: "none",
  gzip: "gzip",
  zstd: "zstd",
};

/** Levels of the encoders; plain tars take any and heed none, as with BuildKit. */
const highestLevel: Readonly<Record<LayerCompression, number>> = { none: 22, gzip: 9, zstd: 22 };

/** @throws USAGE; OUTPUT_UNSUPPORTED for estargz */
export function parseCompression(words: CompressionWords): CompressionChoice {
  const compression = words.compression === undefined ? undefined : readName(words.compression);
  const level = words.compressionLevel;
  const highest = highestLevel[compression ?? "gzip"];
  if (level !== undefined && !(/^\d{1,2}$/.test(level) && Number(level) <= highest)) {
    throw usageError(
      `read compression level ${JSON.stringify(level)}`,
      `levels of ${words.compression ?? "gzip"} go from 0 to ${String(highest)}`,
    );
  }
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(level === undefined ? {} : { compressionLevel: Number(level) }),
    ...(words.forceCompression === undefined ? {} : { forceCompression: words.forceCompression }),
  };
}

function readName(name: string): LayerCompression {
  const compression = Object.hasOwn(names, name) ? names[name] : undefined;
  if (compression !== undefined) return compression;
  if (name !== "estargz") {
    const hint = "the compressions are gzip, zstd and uncompressed";
    throw usageError(`read compression ${JSON.stringify(name)}`, hint);
  }
  throw apiError("OUTPUT_UNSUPPORTED", "compress layers as estargz: not supported", {
    hint: "use gzip, zstd or uncompressed",
    details: { compression: name },
  });
}
