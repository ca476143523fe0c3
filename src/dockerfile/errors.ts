import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Every way in which a Dockerfile's text can be wrong. */
export type DockerfileErrorCode =
  /** Zero bytes, or nothing but comments and blank lines. */
  | "DOCKERFILE_EMPTY"
  | "DOCKERFILE_LINE_TOO_LONG"
  /** A parser directive is repeated or has an impossible value. */
  | "DOCKERFILE_DIRECTIVE"
  /** No FROM, or an instruction other than ARG before the first one. */
  | "DOCKERFILE_NO_STAGE"
  | "DOCKERFILE_STAGE_NAME"
  | "DOCKERFILE_UNKNOWN_INSTRUCTION"
  | "DOCKERFILE_FLAG_UNKNOWN"
  | "DOCKERFILE_FLAG_DUPLICATE"
  /** A flag lacks its value or has an impossible one. */
  | "DOCKERFILE_FLAG_VALUE"
  /** Too few, too many or malformed arguments. */
  | "DOCKERFILE_ARGUMENTS"
  /** A JSON array holds something else than strings, or JSON form is required. */
  | "DOCKERFILE_JSON"
  | "DOCKERFILE_HEREDOC"
  /** A duration or count of HEALTHCHECK. */
  | "DOCKERFILE_DURATION"
  | "DOCKERFILE_ONBUILD"
  /** An unbalanced quote. */
  | "DOCKERFILE_QUOTE"
  /** A `${…}` that cannot be read, or whose pattern is invalid. */
  | "DOCKERFILE_SUBSTITUTION"
  /** `${NAME:?message}` of a variable without value. */
  | "DOCKERFILE_VARIABLE_REQUIRED"
  /** The check directive, or BUILDKIT_DOCKERFILE_CHECK, holds something else than skip, error and experimental. */
  | "DOCKERFILE_CHECK_INVALID"
  /** A rule found something, and the check directive says `error=true`. */
  | "DOCKERFILE_CHECK_VIOLATED";

export function dockerfileError(
  code: DockerfileErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<DockerfileErrorCode>, "code" | "message"> = {},
): TsbuildError<DockerfileErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
