export type { TravelLimits } from "./choose-files.ts";
export { copyCache } from "./copy-cache.ts";
export { cacheMountError, type CacheMountErrorCode } from "./errors.ts";
export {
  exportMounts,
  type ExportedMount,
  type ExportMountsRequest,
  type MountExport,
  type MountToExport,
} from "./export-mounts.ts";
export { importMounts, type ImportMountsRequest, type MountImport } from "./import-mounts.ts";
export { mountsArtifactType, readMountSet } from "./mount-set.ts";
export { onlyPresent } from "./present.ts";
export type * from "./types.ts";
export type { LostLooks } from "./write-tree.ts";
