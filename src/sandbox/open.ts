import { isTsbuildError } from "../core/index.ts";
import type { SandboxWarning } from "./builtin/index.ts";
import { sandboxError } from "./errors.ts";
import type { Sandbox } from "./types.ts";

/** `auto`: builtin, and chroot where the kernel refuses namespaces or mounts. */
export type Isolation = "auto" | "builtin" | "oci" | "chroot";

export interface OpenSandboxOptions {
  /** A directory of this process, on a filesystem that is not mounted noexec; made when missing. */
  readonly stateDir: string;
  /** Outlives this process: compiled system call filters are kept there. */
  readonly cacheDir?: string | undefined;
  /** For `oci`: name or path of the runtime; the first one that works unless given. */
  readonly runtime?: string | undefined;
  /** Whether roots of steps are layers that only a mount can put together; then `auto` has no choice. */
  readonly hasLayers?: boolean | undefined;
  readonly onWarning?: ((warning: SandboxWarning) => void) | undefined;
}

/**
 * The way to run steps that `isolation` asks for. `auto` takes the strictest one that works, and says so by a warning
 * when that is not the strictest there is; a way that was named is never replaced by a weaker one.
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
  if (isolation === "chroot") return openChroot(options);
  const { openBuiltinSandbox } = await import("./builtin/index.ts");
  if (isolation === "builtin" || options.hasLayers === true) return openBuiltinSandbox(options);
  const refusal = await whyNoNamespaces(options.stateDir);
  if (refusal === undefined) return openBuiltinSandbox(options);
  const sandbox = await openChroot(options).catch((error: unknown) => {
    throw neitherWorks(refusal, error);
  });
  options.onWarning?.({
    code: "SANDBOX_WEAKER",
    message: `steps run in a chroot, since namespaces are refused here (${refusal}): ${weakness}`,
    hint: "`tsbuild doctor` tells what else is weaker and what would lift it; --isolation chroot says that this is meant",
  });
  return sandbox;
}

/** The shortest thing to say of it; the whole list is `doctor`'s. */
const weakness = "they see no /proc, and a step that runs as root is not kept from this container";

async function openChroot(options: OpenSandboxOptions): Promise<Sandbox> {
  const { openChrootSandbox } = await import("./chroot/index.ts");
  return openChrootSandbox(options);
}

function neitherWorks(refusal: string, error: unknown): unknown {
  if (!isTsbuildError(error, "SANDBOX_UNSUPPORTED")) return error;
  const message = `isolate steps: namespaces are refused here (${refusal}), and a chroot: ${error.message}`;
  return sandboxError("SANDBOX_UNSUPPORTED", message, {
    hint: error.hint,
    details: error.details,
    cause: error,
  });
}

/** Asked by doing, which takes a few milliseconds; a process without the capability need not be asked. */
async function whyNoNamespaces(stateDir: string): Promise<string | undefined> {
  const { probeNamespaces } = await import("./builtin/index.ts");
  const refused = await probeNamespaces(stateDir);
  return refused === undefined ? undefined : `${refused.what}: ${refused.errno}`;
}
