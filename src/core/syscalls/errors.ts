import { coreError, errnoOf, isTsbuildError } from "../errors.ts";

/** What a failed system call was about; `path` as text for people. */
export interface SyscallFailure {
  readonly syscall: string;
  /** Name such as "ENOENT". */
  readonly errno: string;
  readonly path?: string | undefined;
}

/** SYSCALL_FAILED, or DISK_FULL for ENOSPC and EDQUOT; details hold the three fields of `failure`. */
export function syscallError(failure: SyscallFailure, cause?: unknown): Error {
  const { syscall, errno, path } = failure;
  const message = `${syscall}${path === undefined ? "" : ` ${path}`}: ${errno}`;
  const details = { syscall, errno, path };
  const code = isFull(errno) ? "DISK_FULL" : "SYSCALL_FAILED";
  return coreError(code, message, { details, hint: hints.get(errno), cause });
}

const spaceHint = "free some space, for example with `tsbuild system prune`, then try again";

/** What to do about failures that any call may meet and that are the machine's to mend. */
const hints: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", spaceHint],
  ["EDQUOT", spaceHint],
  ["EFBIG", "a file would be larger than its filesystem or `ulimit -f` allows: raise the limit"],
  ["EIO", "the disk is faulty, `dmesg` tells more; `tsbuild system verify` tells what is damaged"],
  ["EROFS", "the filesystem is mounted read-only: mount it read-write, or choose another folder"],
  ["EACCES", "check the owner and the permissions of the path and of the folders above it"],
  ["EMFILE", "raise the limit of open files: ulimit -n"],
  ["ENFILE", "the machine has too many files open: raise fs.file-max"],
  ["ENOMEM", "free some memory, then try again"],
]);

/** A failed system call of Node's, which may come up anywhere, as an error of ours; anything else as it is. */
export function explainSystemError(error: unknown): unknown {
  if (!(error instanceof Error) || isTsbuildError(error)) return error;
  const { syscall, path } = error as NodeJS.ErrnoException;
  const errno = errnoOf(error);
  if (errno === undefined || !/^E[A-Z0-9]+$/.test(errno) || typeof syscall !== "string")
    return error;
  return syscallError({ syscall, errno, path: path?.toString() }, error);
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

/**
 * What the system says against a file that is open, or that was reached through an open directory: it does not say the
 * name. With its path for people; other errors as they are.
 */
export function tellPath(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || isTsbuildError(error)) return error;
  const { syscall, path: told } = error as NodeJS.ErrnoException;
  const errno = errnoOf(error);
  const isTold = told !== undefined && !told.toString().startsWith("/proc/self/fd/");
  if (errno === undefined || syscall === undefined || isTold) return error;
  return syscallError({ syscall, errno, path }, error);
}

function isFull(errno: string | undefined): boolean {
  return errno === "ENOSPC" || errno === "EDQUOT";
}
