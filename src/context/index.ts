export { checksumSelection, selectionDigest, type Selection } from "./checksum.ts";
export { openDirectoryContext, type DirectoryContextOptions } from "./directory-context.ts";
export { contextError, type ContextErrorCode } from "./errors.ts";
export { parseExcludes, type Excludes } from "./ignore/parse-excludes.ts";
export { IgnoreRules } from "./ignore/ignore-rules.ts";
export { parseIgnoreFile } from "./ignore/parse-ignore-file.ts";
export { selectSources, type SelectOptions } from "./select-sources.ts";
export { openStatCache, type StatCacheOptions } from "./stat-cache.ts";
export type * from "./types.ts";
