import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

export type CacheErrorCode =
  /** A key object was cut off or overwritten: nobody knows what it was made of. */
  "CACHE_KEY_DAMAGED";

export function cacheError(
  code: CacheErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<CacheErrorCode>, "code" | "message"> = {},
): TsbuildError<CacheErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
