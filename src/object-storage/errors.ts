import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Failures of object storage. `details.host`, and `details.status` where there was an answer. */
export type ObjectStorageErrorCode =
  /** Bucket, region, endpoint or another setting cannot be used. */
  | "OBJECT_STORAGE_SETTING_INVALID"
  /** Nobody says who we are. */
  | "OBJECT_STORAGE_CREDENTIALS_MISSING"
  | "OBJECT_STORAGE_CREDENTIALS_INVALID"
  | "OBJECT_STORAGE_DENIED"
  | "OBJECT_STORAGE_NOT_FOUND"
  | "OBJECT_STORAGE_UNREACHABLE"
  | "OBJECT_STORAGE_FAILED";

export function objectStorageError(
  code: ObjectStorageErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<ObjectStorageErrorCode>, "code" | "message"> = {},
): TsbuildError<ObjectStorageErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
