export { openArchiveSink } from "./archive-sink.ts";
export {
  openImageDirectory,
  openImageDirectorySink,
  type ImageDirectorySink,
  type ImageDirectorySource,
} from "./image-directory.ts";
export { openLayoutSink } from "./layout-sink.ts";
export { blobPath, openArchiveSource } from "./archive-source.ts";
export { archiveError, type ArchiveErrorCode } from "./errors.ts";
export type * from "./types.ts";
