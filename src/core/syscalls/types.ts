import type { Names, PlainFiles } from "../plain-files.ts";

/** Bytes for names that need not be UTF-8; a string is taken as UTF-8. */
export type SyscallPath = string | Buffer;

/** What to do with symlinks and the like on the way to a file: RESOLVE_* of openat2(2). */
export interface ResolveFlags {
  readonly beneath?: boolean;
  readonly inRoot?: boolean;
  readonly noSymlinks?: boolean;
  readonly noMagicLinks?: boolean;
  readonly noCrossDevice?: boolean;
}

/** A soft and a hard limit; `rlimInfinity` for none. */
export interface ResourceLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}

export const rlimInfinity = 2n ** 64n - 1n;

/** RLIMIT_* numbers; the same on x86-64 and arm64. */
export const rlimits = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

export type FileType =
  "file" | "directory" | "symlink" | "fifo" | "socket" | "char-device" | "block-device";

/** What stat(2) says about a node. Numbers of devices as st_dev packs them, times in nanoseconds since the epoch. */
export interface FileStat {
  /** With its type bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly rdev: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/**
 * System calls that Node does not offer, or only dearly. Synchronous (a few microseconds) unless they wait. Nothing follows a symlink
 * in the last component. Every failure is SYSCALL_FAILED with details {syscall, errno, path}, or DISK_FULL for ENOSPC
 * and EDQUOT; `syscallErrno` reads the errno.
 */
export interface Syscalls {
  /**
   * Makes a node. `mode` holds the type bits (S_IFCHR …) and permissions, which the umask reduces; numbers are those of
   * the device.
   */
  mknod(
    path: SyscallPath,
    node: { readonly mode: number; readonly major: number; readonly minor: number },
  ): void;
  /** The umask reduces `mode`. */
  mkfifo(path: SyscallPath, mode: number): void;
  lsetxattr(path: SyscallPath, name: string, value: Uint8Array): void;
  fsetxattr(fd: number, name: string, value: Uint8Array): void;
  /** undefined when there is no such attribute. */
  lgetxattr(path: SyscallPath, name: string): Buffer | undefined;
  fgetxattr(fd: number, name: string): Buffer | undefined;
  /** Names in the kernel's order; none on a filesystem without attributes. */
  llistxattr(path: SyscallPath): readonly string[];
  /** The same of a path with one character a byte. */
  llistxattrBytes(path: string): readonly string[];
  flistxattr(fd: number): readonly string[];
  lremovexattr(path: SyscallPath, name: string): void;
  /** Owner and group, each 0 to 2^32 - 2. Clears setuid and setgid bits, as chown(2) does. */
  lchown(path: SyscallPath, uid: number, gid: number): void;
  /** Times in nanoseconds since the epoch, negative ones too. An absent time stays. */
  utimens(
    path: SyscallPath,
    times: { readonly atime?: bigint | undefined; readonly mtime?: bigint | undefined },
  ): void;
  /** `utimens` of the open file. */
  futimens(
    fd: number,
    times: { readonly atime?: bigint | undefined; readonly mtime?: bigint | undefined },
  ): void;
  /**
   * Locks the open file (flock(2)); closing every copy of the descriptor unlocks. Resolves true when locked, false when
   * `nonBlocking` and someone else holds it. Waiting asks again after 1 to 50 ms, so it blocks no thread.
   * @throws the reason of `signal` when it is aborted
   */
  flock(
    fd: number,
    options: {
      readonly exclusive: boolean;
      readonly nonBlocking?: boolean;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<boolean>;
  unlock(fd: number): void;
  /** `dirfd` `"cwd"`: relative to the working directory. O_CLOEXEC always. The caller closes the descriptor. */
  openat2(
    dirfd: number | "cwd",
    path: SyscallPath,
    how: { readonly flags: number; readonly mode?: number; readonly resolve?: ResolveFlags },
  ): number;
  /** `noReplace`: EEXIST when the target exists. `exchange`: both exist and swap places. */
  renameat2(from: SyscallPath, to: SyscallPath, how: "noReplace" | "exchange"): void;
  /** A second name for a file, or for the open file `fd` (also one made with O_TMPFILE). */
  linkat(from: SyscallPath | { readonly fd: number }, to: SyscallPath): void;
  /** Shares `from`'s content with `to` without copying; false where the filesystem cannot. */
  cloneFile(fromFd: number, toFd: number): boolean;
  /** An executable file without a name that lies in memory. O_CLOEXEC. The caller closes the descriptor. */
  memfdCreate(name: string): number;
  /** Flushes the whole filesystem that `fd` lies on; runs on a thread of the pool. */
  syncfs(fd: number): Promise<void>;
  /** undefined when nothing is there. Failures are Node's own. */
  lstat(path: SyscallPath): FileStat | undefined;
  /** The same of a path with one character a byte. */
  lstatBytes(path: string): FileStat | undefined;
  fstat(fd: number): FileStat;
  /**
   * The names in an open directory that was not read yet, one character a byte, in no order, without `.` and `..`, and
   * without those that end in the bytes of `without`.
   */
  listNames(fd: number, options?: { readonly without?: readonly Uint8Array[] }): string[];
  /** The same of the directory at `path`, one character a byte, to which no symlink may lead. */
  listDirectory(path: string, options?: { readonly without?: readonly Uint8Array[] }): string[];
  /**
   * The regular files with one name and no attributes that come first among the nodes of a directory with these names: from
   * `start` on, at most so many, and so many bytes of them. Whatever else comes, cannot be looked at, or has a time before
   * 1970 or after 2242, ends them, and so does another owner with `isOneOwner`. `directory`: its path with a final slash, on
   * whose way is no symlink.
   */
  plainFiles(
    directory: Buffer,
    names: Names,
    limits: {
      readonly start: number;
      readonly most: number;
      readonly bytes: number;
      readonly isOneOwner: boolean;
    },
  ): PlainFiles;
  /**
   * Fills `content` with all of a file; false when it cannot be read, or is not of version `index` of `versions`. `path`:
   * absolute, with a NUL behind it; no symlink may be on its way. Whether it has attributes is not asked: a file that had none
   * when its version was seen has none as long as it is of that version.
   */
  readPlainFile(
    path: Uint8Array,
    content: Uint8Array,
    expected: { readonly versions: BigInt64Array; readonly index: number },
  ): boolean;
  /** Opens what is at such a path for reading, without waiting for a FIFO's writer. The caller closes the descriptor. */
  openReal(path: string): number;
  /** Limits of process `pid` (0: this one) before `limit`, when given, was set. */
  prlimit(pid: number, resource: number, limit?: ResourceLimit): ResourceLimit;
}
