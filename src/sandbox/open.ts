import { isTsbuildError } from "../core/index.ts";
import type { SandboxWarning } from "./builtin/index.ts";
import { sandboxError } from "./errors.ts";
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
    return await openKind(isolation, options);
  } catch (error) {
    if (!isTsbuildError(error, "SANDBOX_UNSUPPORTED")) throw error;
    throw sandboxError("SANDBOX_UNAVAILABLE", error.message, {
      hint: error.hint,
      details: { ...error.details, isolation },
      cause: error,
    });
  }
}

/** Each is loaded when it is wanted: a build whose steps are all cached opens no sandbox. */
async function openKind(isolation: Isolation, options: OpenSandboxOptions): Promise<Sandbox> {
  if (isolation === "oci") {
    const { openOciSandbox } = await import("./oci/index.ts");
    return openOciSandbox(options);
  }
  const { openBuiltinSandbox } = await import("./builtin/index.ts");
  return openBuiltinSandbox(options);
}
