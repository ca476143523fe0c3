import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Why the state root refused. A full disk is `DISK_FULL`, damaged content `DIGEST_MISMATCH` or `SIZE_MISMATCH` (core). */
export type StoreErrorCode =
  | "STORE_UNAVAILABLE"
  | "STORE_FORMAT_UNSUPPORTED"
  | "STORE_BLOB_NOT_FOUND"
  | "STORE_BLOB_TOO_LARGE";

export function storeError(
  code: StoreErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<StoreErrorCode>, "code" | "message"> = {},
): TsbuildError<StoreErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
