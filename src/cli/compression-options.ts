import { Option } from "commander";

/** How layers are to leave, as build, push and save take it. */
export interface CompressionFlags {
  readonly compression?: string;
  readonly compressionLevel?: string;
  readonly forceCompression?: boolean;
}

/** `--compression` and what belongs to it; `usual` tells what happens without. */
export function compressionOptions(usual: string): readonly Option[] {
  return [
    new Option("--compression <name>", `of layers: gzip, zstd or uncompressed (${usual})`),
    new Option("--compression-level <number>", "0 to 9 for gzip, 0 to 22 for zstd"),
    new Option("--force-compression", "bring layers that came in another form into this one too"),
  ];
}

/** What the api calls the words of these flags. */
export function compressionWords(flags: CompressionFlags): CompressionFlags {
  const { compression, compressionLevel, forceCompression } = flags;
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(compressionLevel === undefined ? {} : { compressionLevel }),
    ...(forceCompression === undefined ? {} : { forceCompression }),
  };
}
