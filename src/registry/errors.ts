import { TsbuildError, type TsbuildErrorOptions } from "../core/index.ts";

/** Failures of talking to a registry. `details.host`, and `details.status` where there was an answer. */
export type RegistryErrorCode =
  | "REGISTRY_UNAUTHORIZED"
  | "REGISTRY_DENIED"
  | "REGISTRY_NOT_FOUND"
  | "REGISTRY_UNREACHABLE"
  | "REGISTRY_LIMITED"
  | "REGISTRY_FAILED"
  | "REGISTRY_ANSWER_INVALID"
  | "REGISTRY_TARGET_REFUSED"
  | "REGISTRY_CREDENTIALS_INVALID"
  | "REGISTRY_SETTINGS_INVALID"
  | "REGISTRY_BLOCKED"
  | "REGISTRY_UNSUPPORTED";

export function registryError(
  code: RegistryErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<RegistryErrorCode>, "code" | "message"> = {},
): TsbuildError<RegistryErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
