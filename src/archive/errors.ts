import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Failures of reading and writing image archives. */
export type ArchiveErrorCode =
  | "ARCHIVE_NOT_FOUND"
  | "ARCHIVE_TRUNCATED"
  | "ARCHIVE_INVALID"
  | "ARCHIVE_KIND_UNKNOWN"
  | "ARCHIVE_BLOB_NOT_FOUND"
  | "ARCHIVE_WRITE_FAILED";

export function archiveError(
  code: ArchiveErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<ArchiveErrorCode>, "code" | "message"> = {},
): TsbuildError<ArchiveErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
