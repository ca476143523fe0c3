export { diffKeys, type KeyDifference } from "./diff-keys.ts";
export { openLocalCache, type LocalCache } from "./local-cache.ts";
export { pruneRecords, type PruneReport } from "./prune.ts";
export type {
  BuildRecord,
  Cache,
  CacheEntry,
  CacheKeyObject,
  CacheRecord,
  KeptCacheKey,
  KeyField,
} from "./types.ts";
