import {
  diskFull,
  isDiskFull,
  isTsbuildError,
  syscallErrno,
  TsbuildError,
  type TsbuildErrorOptions,
} from "../core/index.ts";

/** Failures of carrying cache mounts from one machine to another. */
export type CacheMountErrorCode =
  /** The place has no cache mounts, or not the ones that were asked for. */
  | "CACHE_MOUNTS_NOT_FOUND"
  /** What the place has is damaged, hostile, or of a version that is not known. */
  | "CACHE_MOUNTS_INVALID"
  /** Files became shorter again and again while they were read. */
  | "CACHE_MOUNTS_CHANGING"
  /** The disk of this machine does not take them. */
  | "CACHE_MOUNTS_NOT_WRITTEN";

export function cacheMountError(
  code: CacheMountErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<CacheMountErrorCode>, "code" | "message"> = {},
): TsbuildError<CacheMountErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}

/** CACHE_MOUNTS_INVALID. */
export function invalidMounts(what: string, cause?: unknown): TsbuildError<CacheMountErrorCode> {
  return cacheMountError("CACHE_MOUNTS_INVALID", `read cache mounts: ${what}`, {
    hint: "they are damaged or hostile: export them again to a place that only you can write to",
    cause,
  });
}

/** What keeps cache mounts from being written, with the place; whatever has a code of ours stays as it is. */
export function notWritten(error: unknown, folder: string): unknown {
  const errno = syscallErrno(error);
  if (errno === undefined || (isTsbuildError(error) && error.code !== "SYSCALL_FAILED"))
    return error;
  const told = error instanceof Error && "path" in error ? error.path : undefined;
  const path = typeof told === "string" ? told : folder;
  if (isDiskFull(error)) return diskFull(path, error);
  return cacheMountError("CACHE_MOUNTS_NOT_WRITTEN", `write cache mounts to ${path}: ${errno}`, {
    hint: "look whether the state root (--root) is a disk of this machine that you may write to",
    details: { path, errno },
    cause: error,
  });
}
