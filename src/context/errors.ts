import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

export type ContextErrorCode =
  /** A source of COPY or ADD that is not in the context or stage. */
  | "CONTEXT_SOURCE_NOT_FOUND"
  /** A wildcard pattern with an open bracket, an empty class or a lone backslash. */
  | "CONTEXT_PATTERN_INVALID"
  /** A line of an ignore file that means nothing. */
  | "CONTEXT_IGNORE_INVALID"
  /** The context, or a file in it that is not excluded, cannot be read. */
  | "CONTEXT_UNREADABLE"
  /** An archive whose entries contradict each other. */
  | "CONTEXT_ARCHIVE_INVALID"
  | "CONTEXT_GIT_MISSING"
  /** The program git, or the remote that it talks to, says no. */
  | "CONTEXT_GIT_FAILED"
  | "CONTEXT_GIT_REF_NOT_FOUND"
  /** The commit is not the one that was promised. */
  | "CONTEXT_GIT_CHECKSUM"
  /** A file changed between two looks of one build, so that no result could be right. */
  | "CONTEXT_FILE_CHANGED";

export function contextError(
  code: ContextErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<ContextErrorCode>, "code" | "message"> = {},
): TsbuildError<ContextErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
