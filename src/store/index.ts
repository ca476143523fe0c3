export { cacheMountKey, parseCacheMountKey, type CacheMountName } from "./cache-mount-name.ts";
export { openCacheMounts } from "./cache-mounts.ts";
export type {
  CacheMountEntry,
  CacheMountRequest,
  CacheMountStore,
  CacheMountUsage,
  CacheSharing,
  HeldCacheMount,
} from "./cache-mounts.ts";
export { defaultRoot } from "./default-root.ts";
export type { StoreErrorCode } from "./errors.ts";
export {
  isAbsence,
  asObject,
  parseJson,
  readJsonFile,
  readJsonFileSync,
  writeJsonFile,
  writeTextFile,
  type JsonFile,
} from "./json-file.ts";
export { openStore, storeFormat } from "./open-store.ts";
export { parseDescriptorRecord } from "./records.ts";
export type { SweepReport } from "./sweep.ts";
export type {
  BlobLevel,
  BlobStore,
  LayerBlob,
  LayerBlobIndex,
  LayerOrigin,
  LayerOriginIndex,
  NameRecord,
  NameStore,
  Store,
} from "./types.ts";
