import { TsbuildError } from "../core/index.ts";
import type { TsbuildErrorOptions } from "../core/index.ts";

/** Codes of failures to run a process in isolation. A process that ran and failed is a result, not an error. */
export type SandboxErrorCode =
  /** The kernel, the architecture or the privileges of this process do not carry the chosen sandbox. */
  | "SANDBOX_UNSUPPORTED"
  /** No implementation of the isolation that was asked for works here; `details.tried` tells why. */
  | "SANDBOX_UNAVAILABLE"
  /** A value of the spec cannot be handed to the kernel, for example an argument with a NUL byte. */
  | "SANDBOX_SPEC_INVALID"
  /** A system call before the command failed; `details` has `operation`, `syscall` and `errno`. */
  | "SANDBOX_SETUP_FAILED"
  /** A mount that the spec asked for failed; `details` as above, and `target`. */
  | "SANDBOX_MOUNT_FAILED"
  /** The working directory is not there or not a directory; `details.exitCode` is 126 or 127 as in Docker. */
  | "SANDBOX_CWD_INVALID"
  /** The command does not exist in the root filesystem; `details.exitCode` is 127. */
  | "SANDBOX_EXEC_NOT_FOUND"
  /** The command exists and cannot be executed; `details.exitCode` is 126. */
  | "SANDBOX_EXEC_NOT_EXECUTABLE"
  /** The command is no program of this architecture, nor a script with a #! line; `details.exitCode` is 126. */
  | "SANDBOX_EXEC_FORMAT"
  /** The supervising process was killed by somebody else, so how the command ended is unknown. */
  | "SANDBOX_LOST"
  /** A user or group name is not in the account files of the root filesystem. */
  | "SANDBOX_USER_UNKNOWN"
  /** A user or group id is not within 0 to 2147483647. */
  | "SANDBOX_USER_INVALID"
  /** /etc/passwd or /etc/group of the root filesystem is no regular file, or far too large. */
  | "SANDBOX_ACCOUNTS_UNREADABLE"
  /** Warning: the control groups of this machine do not take a limit that was asked for. */
  | "SANDBOX_LIMIT_IGNORED"
  /** Warning: steps are less confined than they would be with more privileges. */
  | "SANDBOX_WEAKER"
  /** Warning: without libseccomp system calls are not filtered. */
  | "SANDBOX_SECCOMP_UNAVAILABLE";

export function sandboxError(
  code: SandboxErrorCode,
  message: string,
  rest: Omit<TsbuildErrorOptions<SandboxErrorCode>, "code" | "message"> = {},
): TsbuildError<SandboxErrorCode> {
  return new TsbuildError({ code, message, ...rest });
}
