import { getSystemErrorName } from "node:util";
import type { TsbuildError } from "../../core/index.ts";
import type { SandboxErrorCode } from "../errors.ts";
import { sandboxError } from "../errors.ts";
import type { CallOrigin } from "./call-list.ts";
import { describeOp } from "./describe-op.ts";
import { errno as errnos } from "./linux.ts";
import type { OpOf } from "./ops.ts";

export interface FailedCall {
  readonly origin: CallOrigin;
  readonly errno: number;
  /** Errnos of earlier attempts of the same op that did not end it. */
  readonly notedErrnos: readonly number[];
}

/** Docker's exit codes for commands that could not be started. */
const exitCode = { notExecutable: 126, notFound: 127 } as const;

/** The error that tells which op failed and why. */
export function failureOf(failed: FailedCall): TsbuildError<SandboxErrorCode> {
  const { op, syscall } = failed.origin;
  const errno = nameErrno(failed.errno);
  const message = `${describeOp(op)}: ${errno}`;
  const details = { operation: op.type, syscall, errno };
  switch (op.type) {
    case "exec":
      return execFailure(op, failed);
    case "chdir":
      return sandboxError(
        "SANDBOX_CWD_INVALID",
        `change to working directory ${op.path}: ${errno}`,
        {
          details: { ...details, path: op.path, exitCode: exitCodeOf(failed.errno) },
        },
      );
    case "attach":
    case "mount":
    case "make-read-only":
      return sandboxError("SANDBOX_MOUNT_FAILED", message, {
        details: { ...details, target: op.target },
      });
    case "open-tree":
      return sandboxError("SANDBOX_MOUNT_FAILED", message, {
        details: { ...details, source: op.source },
      });
    case "open-overlay":
      return sandboxError("SANDBOX_MOUNT_FAILED", message, {
        details: { ...details, target: "/" },
      });
    default:
      return sandboxError("SANDBOX_SETUP_FAILED", message, { details });
  }
}

/** As execvp: a candidate that may not be executed outweighs later ones that are not there. */
function execFailure(op: OpOf<"exec">, failed: FailedCall): TsbuildError<SandboxErrorCode> {
  const isForbidden = failed.notedErrnos.includes(errnos.EACCES) && isNotFound(failed.errno);
  const errno = isForbidden ? errnos.EACCES : failed.errno;
  const [command = ""] = op.argv;
  const code = isNotFound(errno) ? "SANDBOX_EXEC_NOT_FOUND" : "SANDBOX_EXEC_NOT_EXECUTABLE";
  return sandboxError(code, `exec ${command}: ${nameErrno(errno)}`, {
    hint: hintOf(op, errno),
    details: { command, errno: nameErrno(errno), exitCode: exitCodeOf(errno) },
  });
}

function hintOf(op: OpOf<"exec">, errno: number): string | undefined {
  switch (errno) {
    case errnos.ENOENT:
      return op.paths.length > 1
        ? "no directory of PATH in the image has it"
        : "the file, or the interpreter or loader that it names, is not in the image";
    case errnos.ENOEXEC:
      return "it is neither a program of this architecture nor a script with a #! line";
    default:
      return undefined;
  }
}

function isNotFound(errno: number): boolean {
  return errno === errnos.ENOENT || errno === errnos.ENOTDIR;
}

function exitCodeOf(errno: number): number {
  return isNotFound(errno) ? exitCode.notFound : exitCode.notExecutable;
}

function nameErrno(errno: number): string {
  return getSystemErrorName(-errno);
}
