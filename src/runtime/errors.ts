import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** What can go wrong before a container's process runs. */
export type RuntimeErrorCode =
  "RUNTIME_COMMAND_MISSING" | "RUNTIME_VOLUME_INVALID" | "RUNTIME_ENV_INVALID";

export function runtimeError(
  code: RuntimeErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<RuntimeErrorCode>, "code" | "message"> = {},
): TsbuildError<RuntimeErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
