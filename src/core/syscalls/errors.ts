import { coreError, errnoOf, isTsbuildError } from "../errors.ts";

/** What a failed system call was about; `path` as text for people. */
export interface SyscallFailure {
  readonly syscall: string;
  /** Name such as "ENOENT". */
  readonly errno: string;
  readonly path?: string | undefined;
}

/** SYSCALL_FAILED, or DISK_FULL for ENOSPC and EDQUOT; details hold the three fields of `failure`. */
export function syscallError(failure: SyscallFailure): Error {
  const { syscall, errno, path } = failure;
  const message = `${syscall}${path === undefined ? "" : ` ${path}`}: ${errno}`;
  const details = { syscall, errno, path };
  if (!isFull(errno)) return coreError("SYSCALL_FAILED", message, { details });
  return coreError("DISK_FULL", message, { details, hint: "free some space, then try again" });
}

/** Errno name of a failed system call, whether it went through `Syscalls` or through Node; else undefined. */
export function syscallErrno(error: unknown): string | undefined {
  if (!isTsbuildError(error)) return errnoOf(error);
  const { errno } = error.details;
  return typeof errno === "string" ? errno : undefined;
}

/** Whether the failure (of Node or of `Syscalls`) means that the disk or the quota is used up. */
export function isDiskFull(error: unknown): boolean {
  return isTsbuildError(error, "DISK_FULL") || isFull(syscallErrno(error));
}

function isFull(errno: string | undefined): boolean {
  return errno === "ENOSPC" || errno === "EDQUOT";
}
