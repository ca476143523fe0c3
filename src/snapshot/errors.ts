import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

export type SnapshotErrorCode =
  /** No snapshot of that name, or one of its parents is gone. */
  | "SNAPSHOT_NOT_FOUND"
  | "SNAPSHOT_ENTRY_NOT_FOUND"
  | "SNAPSHOT_NOT_A_DIRECTORY"
  | "SNAPSHOT_NOT_A_FILE"
  /** A name, a path or a link's target is longer than the disk takes. */
  | "SNAPSHOT_NAME_TOO_LONG"
  /** A file has a name that layers keep for removals. */
  | "SNAPSHOT_NAME_RESERVED"
  /** An extended attribute that the kernel or the filesystem does not take. */
  | "SNAPSHOT_XATTR_REFUSED"
  /** A file changed while it was copied. */
  | "SNAPSHOT_SOURCE_CHANGED"
  /** The file beside a layer that tells owners, modes and marks cannot be read. */
  | "SNAPSHOT_LOOKS_BROKEN"
  /** The tar that a layer is kept as has other bytes than were written. */
  | "SNAPSHOT_DAMAGED"
  /** The kind that was asked for does not work on this filesystem or with these privileges. */
  | "SNAPSHOT_KIND_UNSUPPORTED";

export function snapshotError(
  code: SnapshotErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<SnapshotErrorCode>, "code" | "message"> = {},
): TsbuildError<SnapshotErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
