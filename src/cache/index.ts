export { cacheError, type CacheErrorCode } from "./errors.ts";
export { openLocalCache, type LocalCache } from "./local-cache.ts";
export type {
  BuildRecord,
  Cache,
  CacheEntry,
  CacheKeyObject,
  CacheRecord,
  KeyField,
  TracedStep,
} from "./types.ts";
