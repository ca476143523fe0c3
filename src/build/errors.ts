import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** What can go wrong while a plan is solved. */
export type BuildErrorCode =
  | "BUILD_RUN_FAILED"
  | "BUILD_COPY_CONFLICT"
  | "BUILD_COPY_MODE_INVALID"
  | "BUILD_UNSUPPORTED"
  /** A program was made for another machine, and nothing here emulates that. */
  | "BUILD_PLATFORM_UNSUPPORTED"
  /** The source of a mount leads to what cannot be mounted. */
  | "BUILD_MOUNT_INVALID"
  /** Layers that a cache promised could not be had from it. */
  | "BUILD_CACHE_LOST"
  | "BUILD_SECRET_NOT_FOUND"
  /** A secret stands in what the build made. */
  | "BUILD_SECRET_LEAKED"
  | "BUILD_SSH_NOT_FOUND";

export function buildError(
  code: BuildErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<BuildErrorCode>, "code" | "message"> = {},
): TsbuildError<BuildErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
