import { TsbuildError, type SourceLocation, type TsbuildErrorOptions } from "../core/index.ts";

/** Every way in which a well-formed Dockerfile cannot be planned. */
export type PlanErrorCode =
  | "PLAN_TARGET_UNKNOWN"
  /** The image of a FROM is empty after expansion, or cannot be an image's name. */
  | "PLAN_BASE_INVALID"
  /** `# syntax=` asks for another language. */
  | "PLAN_SYNTAX_UNSUPPORTED"
  | "PLAN_STAGE_CYCLE"
  /** A stage is used before it is defined. */
  | "PLAN_STAGE_ORDER"
  /** `--from=N` counts past the stages, or holds a variable. */
  | "PLAN_FROM_INVALID"
  /** A source that COPY or ADD cannot take. */
  | "PLAN_SOURCE_INVALID"
  | "PLAN_CHMOD_INVALID"
  | "PLAN_CHOWN_INVALID"
  | "PLAN_CHECKSUM_INVALID"
  /** SOURCE_DATE_EPOCH is no number and names nothing that has a time. */
  | "PLAN_EPOCH_INVALID"
  | "PLAN_MOUNT_INVALID"
  /** A RUN wants what --allow has not granted. */
  | "PLAN_ENTITLEMENT_MISSING"
  | "PLAN_PORT_INVALID"
  | "PLAN_SIGNAL_INVALID"
  /** An argument became empty, or otherwise impossible, after expansion. */
  | "PLAN_ARGUMENT_INVALID";

export function planError(
  code: PlanErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<PlanErrorCode>, "code" | "message"> = {},
): TsbuildError<PlanErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}

/** An error about one instruction. */
export function planErrorAt(
  location: SourceLocation,
  code: PlanErrorCode,
  message: string,
  hint: string,
): TsbuildError<PlanErrorCode> {
  return planError(code, message, { hint, location });
}
