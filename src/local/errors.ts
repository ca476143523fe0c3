import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Why the local image place refused. */
export type LocalErrorCode =
  | "LOCAL_ID_AMBIGUOUS"
  | "LOCAL_IMAGE_NOT_FOUND"
  | "LOCAL_IMAGE_HAS_NAMES"
  | "LOCAL_LAYER_MISSING"
  | "LOCAL_LAYER_CHANGED"
  | "LOCAL_COMPRESSION_UNSUPPORTED";

export function localError(
  code: LocalErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<LocalErrorCode>, "code" | "message"> = {},
): TsbuildError<LocalErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}

/** LOCAL_IMAGE_NOT_FOUND for what somebody called an image. */
export function notFound(word: string): Error {
  return localError("LOCAL_IMAGE_NOT_FOUND", `find image ${word}: it is not here`, {
    hint: "`tsbuild images` lists what is here",
    details: { image: word },
  });
}
