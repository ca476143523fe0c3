export {
  type DiskUsage,
  diskUsage,
  type DiskUsageOptions,
  type ImageUsage,
  type UsageGroup,
} from "./disk-usage.ts";
export type { LocalErrorCode } from "./errors.ts";
export { isMadeAt } from "./export-layer.ts";
export {
  collectGarbage,
  type GcOptions,
  type GcReport,
  type GcRoot,
  type GcStep,
  measureGarbage,
  removeStates,
} from "./gc.ts";
export { describeGroup, idOf } from "./image-group.ts";
export { measureLayers, type LayerPart, type LayerUsage } from "./layer-usage.ts";
export { openLocalImages } from "./local-images.ts";
export {
  findListed,
  type ListedImage,
  type ManifestList,
  type ManifestLists,
  openManifestLists,
} from "./manifest-lists.ts";
export type * from "./types.ts";
export { type StoreDamage, verifyStore, type VerifyOptions, type VerifyReport } from "./verify.ts";
