import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

export type LayerErrorCode =
  /** A name leads out of the root filesystem. */
  | "LAYER_PATH_ESCAPES"
  /** A name that no filesystem takes: a NUL inside, too long, a whiteout of nothing. */
  | "LAYER_PATH_INVALID"
  | "LAYER_SYMLINK_LOOP"
  /** The archive ends in the middle. */
  | "LAYER_TRUNCATED"
  | "LAYER_HEADER_INVALID"
  /** Well-formed, but of a kind that layers may not have (multi-volume parts, sparse files as star writes them). */
  | "LAYER_ENTRY_UNSUPPORTED"
  /** More content, entries or metadata than is taken from a stranger. */
  | "LAYER_LIMIT_EXCEEDED"
  /** What the environment says about limits is no number. */
  | "LAYER_LIMIT_INVALID"
  | "LAYER_COMPRESSION_UNSUPPORTED"
  | "LAYER_COMPRESSION_BROKEN"
  /** A file gave more or fewer bytes than its header promised, for example because it changed while it was read. */
  | "LAYER_SIZE_MISMATCH";

export function layerError(
  code: LayerErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<LayerErrorCode>, "code" | "message"> = {},
): TsbuildError<LayerErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}

/** LAYER_TRUNCATED. */
export function truncated(entry: string): Error {
  return layerError("LAYER_TRUNCATED", `read tar: it ends in the middle of ${entry}`, {
    hint: "the download or the file is incomplete; get it again",
    details: { entry },
  });
}
