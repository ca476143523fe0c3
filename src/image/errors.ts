import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Failures of reading, checking and copying image documents. */
export type ImageErrorCode =
  | "IMAGE_INVALID"
  | "IMAGE_SCHEMA1"
  | "IMAGE_TOO_LARGE"
  | "IMAGE_TOO_DEEP"
  | "IMAGE_PLATFORM_NOT_FOUND"
  | "IMAGE_UNCONVERTIBLE"
  | "IMAGE_COPY_FAILED";

export function imageError(
  code: ImageErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<ImageErrorCode>, "code" | "message"> = {},
): TsbuildError<ImageErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
