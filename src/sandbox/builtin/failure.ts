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
        hint: mountHint(op, failed.errno),
        details: { ...details, target: op.target },
      });
    case "make-mount-point":
      return sandboxError("SANDBOX_MOUNT_FAILED", message, {
        hint:
          failed.errno === errnos.EROFS
            ? `make ${op.path} in what is mounted read-only at ${op.root}, or mount that with rw`
            : undefined,
        details: { ...details, target: op.path },
      });
    case "open-tree":
      return openTreeFailure(op, failed, details);
    case "open-overlay":
      return sandboxError("SANDBOX_MOUNT_FAILED", message, {
        hint:
          failed.errno === errnos.EACCES
            ? "overlayfs needs CAP_DAC_OVERRIDE: give it to this container, or say --isolation chroot"
            : undefined,
        details: { ...details, target: "/" },
      });
    default:
      return sandboxError("SANDBOX_SETUP_FAILED", message, { details });
  }
}

function mountHint(
  op: OpOf<"attach"> | OpOf<"mount"> | OpOf<"make-read-only">,
  errno: number,
): string | undefined {
  if (errno === errnos.ELOOP)
    return `the image has a symlink at ${op.target} that cannot be followed; put a directory there`;
  const isOtherKind = errno === errnos.EINVAL || errno === errnos.ENOTDIR;
  return op.type === "attach" && isOtherKind
    ? `a directory is mounted on a directory and a file on a file; look what ${op.target} is`
    : undefined;
}

function openTreeFailure(
  op: OpOf<"open-tree">,
  { errno }: FailedCall,
  details: { readonly operation: string; readonly syscall: string; readonly errno: string },
): TsbuildError<SandboxErrorCode> {
  if (op.beneath === undefined || errno !== errnos.EXDEV) {
    const message = `${describeOp(op)}: ${nameErrno(errno)}`;
    return sandboxError("SANDBOX_MOUNT_FAILED", message, {
      details: { ...details, source: op.source },
    });
  }
  return sandboxError(
    "SANDBOX_MOUNT_FAILED",
    `${op.as}: its source ${op.beneath} leads out through a symlink`,
    {
      hint: "mount what the link leads to, or empty the cache with `tsbuild builder prune`",
      details: { ...details, source: op.beneath },
    },
  );
}

/** As execvp: a candidate that may not be executed outweighs later ones that are not there. */
function execFailure(op: OpOf<"exec">, failed: FailedCall): TsbuildError<SandboxErrorCode> {
  const isForbidden = failed.notedErrnos.includes(errnos.EACCES) && isNotFound(failed.errno);
  const errno = isForbidden ? errnos.EACCES : failed.errno;
  const [command = ""] = op.argv;
  return sandboxError(execCode(errno), `exec ${command}: ${reasonOf(errno)}`, {
    hint: hintOf(op, errno),
    details: { command, errno: nameErrno(errno), exitCode: exitCodeOf(errno) },
  });
}

function execCode(errno: number): SandboxErrorCode {
  if (errno === errnos.ENOEXEC) return "SANDBOX_EXEC_FORMAT";
  return isNotFound(errno) ? "SANDBOX_EXEC_NOT_FOUND" : "SANDBOX_EXEC_NOT_EXECUTABLE";
}

/** In the words that shells and runtimes use. */
function reasonOf(errno: number): string {
  switch (errno) {
    case errnos.ENOEXEC:
      return "exec format error: the file is for another architecture or lacks a #! line";
    case errnos.EACCES:
      return "permission denied";
    case errnos.ENOENT:
      return "no such file or directory";
    default:
      return nameErrno(errno);
  }
}

function hintOf(op: OpOf<"exec">, errno: number): string | undefined {
  switch (errno) {
    case errnos.ENOENT:
      return op.paths.length > 1
        ? "no directory of PATH in the image has it"
        : "the file, or the interpreter or loader that it names, is not in the image";
    case errnos.ENOEXEC:
      return "build for this machine's platform, or add #!/bin/sh as the first line of a script";
    case errnos.EACCES:
      return "make it executable (chmod +x), and see that its folders may be entered";
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
