import { isTsbuildError } from "../core/index.ts";
import { openBuiltinSandbox, type SandboxWarning } from "./builtin/index.ts";
import { sandboxError } from "./errors.ts";
import { openOciSandbox } from "./oci/index.ts";
import type { Sandbox } from "./types.ts";

/** `auto`: builtin. */
export type Isolation = "auto" | "builtin" | "oci";

export interface OpenSandboxOptions {
  /** A directory of this process, on a filesystem that is not mounted noexec; made when missing. */
  readonly stateDir: string;
  /** Outlives this process: compiled system call filters are kept there. */
  readonly cacheDir?: string | undefined;
  /** For `oci`: name or path of the runtime; the first one that works unless given. */
  readonly runtime?: string | undefined;
  readonly onWarning?: ((warning: SandboxWarning) => void) | undefined;
}

/**
 * The way to run steps that `isolation` asks for. Never a weaker one instead: who wants another says so.
 *
 * @throws SANDBOX_UNAVAILABLE when it cannot work on this machine, or not with this process' privileges
 */
export async function openSandbox(
  isolation: Isolation,
  options: OpenSandboxOptions,
): Promise<Sandbox> {
  try {
    return await (isolation === "oci" ? openOciSandbox(options) : openBuiltinSandbox(options));
  } catch (error) {
    if (!isTsbuildError(error, "SANDBOX_UNSUPPORTED")) throw error;
    throw sandboxError("SANDBOX_UNAVAILABLE", error.message, {
      hint: error.hint,
      details: { ...error.details, isolation },
      cause: error,
    });
  }
}
