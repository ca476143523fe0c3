export {
  type ArchiveMember,
  type ArchiveMemberWithContent,
  extractArchive,
  packArchive,
} from "./archive.ts";
export { ByteSource } from "./byte-source.ts";
export {
  decompress,
  type DecompressOptions,
  detectCompression,
  type DetectedCompression,
  detectionLength,
} from "./compression.ts";
export { type DeflateJob, runDeflateJob } from "./deflate/deflate-job.ts";
export { type ArchiveLimits, archiveLimits } from "./limits.ts";
export { layerError, type LayerErrorCode } from "./errors.ts";
export { findProgram } from "./filter-program.ts";
export { isVersion, versionsOf } from "./file-versions.ts";
export { compressGzip, gzipLevel, type GzipOptions } from "./gzip.ts";
export { type OpenContent, openContent } from "./open-content.ts";
export { digestChunks, openLayer, type OpenedLayer } from "./layer-stream.ts";
export {
  baseName,
  components,
  joinRootPath,
  nameStart,
  parentRootPath,
  resolvePath,
  rootPath,
  rootPathToString,
  toRootPath,
} from "./paths.ts";
export { openIfTar, openTarOrBytes } from "./tar/detect.ts";
export { readLayerTar, type ReadLayerTarOptions } from "./tar/read.ts";
export {
  type ContentPlaces,
  contentPlaceSize,
  LayerTarDigester,
  plainFilesAtOnce,
  type TarReceiver,
  type TarTotals,
} from "./tar/tar-digester.ts";
export {
  digestBehind,
  type DigestsAsked,
  type FillJob,
  headStands,
  placeLength,
  runFillJob,
} from "./tar/fill-job.ts";
export { hashElsewhere } from "./tar/hash-elsewhere.ts";
export { type HashJob, runHashJob } from "./tar/hash-job.ts";
export { formatHeader } from "./tar/write-header.ts";
export { layerTarChunks, type LayerTarOptions, writeLayerTar } from "./tar/write.ts";
export { showName, tellEntry } from "./tell-entry.ts";
export type * from "./types.ts";
export {
  isWhiteoutName,
  opaqueWhiteoutName,
  parseTarName,
  type TarName,
  whiteoutName,
} from "./whiteouts.ts";
export { compressZstd, zstdLevel } from "./zstd.ts";
