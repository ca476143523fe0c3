export { cacheError, type CacheErrorCode } from "./errors.ts";
export {
  compareDigests,
  diffIdsOf,
  stateOn,
  statesBelow,
  statesOf,
  type CacheContents,
  type CacheState,
  type RemoteRecord,
} from "./remote/contents.ts";
export { inlineCache, type InlineRecord } from "./remote/inline.ts";
export {
  cacheConfigType,
  readStandingCache,
  type CacheForm,
  type ReadCacheRequest,
  type StandingCache,
} from "./remote/manifest.ts";
export { dayOf } from "./remote/merge.ts";
export type { CachePlace } from "./remote/place.ts";
export { writeCache, type WriteCacheRequest, type WrittenCache } from "./remote/write-cache.ts";
export { openLocalCache, type LocalCache } from "./local-cache.ts";
export type {
  BuildRecord,
  Cache,
  CacheEntry,
  CacheKeyObject,
  CacheRecord,
  FieldLines,
  KeyField,
  TracedStep,
} from "./types.ts";
