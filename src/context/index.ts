export { checksumSelection, type Selection } from "./checksum.ts";
export { fileChanged } from "./context-problems.ts";
export { type DigestJob, runDigestJob } from "./digest-job.ts";
export {
  openDirectoryContext,
  readIgnoreRules,
  type DirectoryContextOptions,
} from "./directory-context.ts";
export { contextError, type ContextErrorCode } from "./errors.ts";
export { FileDigests, fileLines, selectionDigest } from "./file-digests.ts";
export { openGitRepositories, type GitRepositoriesOptions } from "./git/repositories.ts";
export type * from "./git/types.ts";
export { PassingCount, type PassingNode } from "./passing-count.ts";
export { parseExcludes, type Excludes } from "./ignore/parse-excludes.ts";
export { explainPath, type RuleMatch } from "./ignore/explain-path.ts";
export { IgnoreRules } from "./ignore/ignore-rules.ts";
export { isIgnoredSource } from "./ignore/is-ignored-source.ts";
export { parseIgnoreFile } from "./ignore/parse-ignore-file.ts";
export { selectSources, type SelectOptions } from "./select-sources.ts";
export { openStatCache, type StatCacheOptions } from "./stat-cache.ts";
export {
  openSmallContext,
  openStreamContext,
  type StreamContext,
  type TarContextOptions,
} from "./tar-context.ts";
export type * from "./types.ts";
