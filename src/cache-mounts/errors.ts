import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Failures of carrying cache mounts from one machine to another. */
export type CacheMountErrorCode =
  /** The place has no cache mounts, or not the ones that were asked for. */
  | "CACHE_MOUNTS_NOT_FOUND"
  /** What the place has is damaged, hostile, or of a version that is not known. */
  | "CACHE_MOUNTS_INVALID"
  /** Files became shorter again and again while they were read. */
  | "CACHE_MOUNTS_CHANGING";

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
