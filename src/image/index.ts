export { configPlatform, maxConfigSize, parseImageConfig, serializeImageConfig } from "./config.ts";
export {
  convertIndex,
  convertManifest,
  isOfFormat,
  type Converted,
  type ManifestFormat,
} from "./convert-manifest.ts";
export { copyContent, type CopyContentOptions, type CopyRetry } from "./copy-content.ts";
export {
  copyGraph,
  type CopyGraphOptions,
  type CopyGraphResult,
  type CopyProgress,
} from "./copy-graph.ts";
export { tellSide, type CopySide } from "./copy-side.ts";
export { parseDescriptorJson, plainDescriptor } from "./descriptor.ts";
export { imageError, type ImageErrorCode } from "./errors.ts";
export {
  maxManifestSize,
  parseIndex,
  parseManifest,
  parseManifestOrIndex,
  serializeIndex,
  serializeManifest,
  type ManifestOrIndex,
} from "./manifest.ts";
export { readNamed } from "./name-document.ts";
export { readContent, type ReadContentOptions } from "./read-content.ts";
export { readImage, type ImageDocuments } from "./read-image.ts";
export { referrerOf, referrersTag, type Referrer } from "./referrer.ts";
export {
  listRunnable,
  selectManifest,
  tellPlatforms,
  type SelectedManifest,
  type SelectManifestOptions,
} from "./select-manifest.ts";
export type { WireValue } from "./json-writer.ts";
export type * from "./types.ts";
export { checkImage, validateImage, type ImageProblem } from "./validate.ts";
