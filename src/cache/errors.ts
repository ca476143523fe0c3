import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

export type CacheErrorCode =
  /** A key object was cut off or overwritten: nobody knows what it was made of. */
  | "CACHE_KEY_DAMAGED"
  /** There is no cache of that name in a place. */
  | "CACHE_NOT_FOUND"
  /** Something else stands there: the cache of another tool, or no cache at all. */
  | "CACHE_FOREIGN"
  /** The documents of a cache contradict themselves, or are larger than any cache is. */
  | "CACHE_INVALID"
  /** A layer that a cache promises cannot be had from it. */
  | "CACHE_LAYER_LOST";

export function cacheError(
  code: CacheErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<CacheErrorCode>, "code" | "message"> = {},
): TsbuildError<CacheErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
