import { isTsbuildError, TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Failures that belong to a verb as a whole. */
export type ApiErrorCode =
  | "USAGE"
  | "IMAGE_NOT_FOUND"
  | "IMAGE_IN_USE"
  /** Under a digest there would be another image than the digest says. */
  | "IMAGE_CHANGED"
  /** The image does not lie on the base that it is to be taken from. */
  | "IMAGE_REBASE_REFUSED"
  /** A file that is to be attached cannot be read. */
  | "ARTIFACT_UNREADABLE"
  /** No key of the build cache begins so. */
  | "CACHE_KEY_NOT_FOUND"
  | "CACHE_KEY_AMBIGUOUS"
  | "MANIFEST_LIST_EXISTS"
  | "MANIFEST_LIST_NOT_FOUND"
  | "DOCKERFILE_NOT_FOUND"
  | "CONTEXT_NOT_FOUND"
  | "BUILD_ARG_INVALID"
  /** Built twice, the image was not the same. */
  | "BUILD_NOT_REPRODUCIBLE"
  | "LABEL_INVALID"
  /** A secret's file cannot be read, or is too large. */
  | "SECRET_UNREADABLE"
  /** There is no agent behind `--ssh`, or its keys cannot be used. */
  | "SSH_UNAVAILABLE"
  | "OUTPUT_FAILED"
  | "OUTPUT_UNSUPPORTED";

export function apiError(
  code: ApiErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<ApiErrorCode>, "code" | "message"> = {},
): TsbuildError<ApiErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}

/** A call that cannot mean anything; the command line exits with 2. */
export function usageError(message: string, hint: string): TsbuildError<ApiErrorCode> {
  return apiError("USAGE", message, { hint });
}

export function isUsageError(error: unknown): boolean {
  return isTsbuildError(error, "USAGE");
}

/** `near` is a name that is here and may have been meant. */
export function imageNotFound(name: string, near?: string): TsbuildError<ApiErrorCode> {
  return apiError("IMAGE_NOT_FOUND", `find image ${name}: it is not here`, {
    hint:
      near === undefined
        ? "`tsbuild images` lists what is here; `tsbuild pull` fetches from a registry"
        : `did you mean ${near}? \`tsbuild images\` lists what is here`,
    details: { image: name },
  });
}
