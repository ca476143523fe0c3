/**
 * The form between set-up ops and machine code: straight-line system calls whose arguments are known before the
 * program runs. There are no loops, no variables and no libc; what little the kernel returns (a wait status, a pidfd)
 * goes into `Datum` memory from where a later call reads it.
 */

/**
 * A piece of the program's writable memory. A string among the parts is UTF-8 with a final NUL, a `Datum` becomes its
 * address (8 bytes).
 */
export interface Datum {
  readonly parts: readonly (Uint8Array | string | Datum)[];
}

/** An address inside a datum, `offset` bytes from its start. */
export interface Pointer {
  readonly datum: Datum;
  readonly offset: number;
}

/** One argument of a system call; numbers are safe integers, negative ones in two's complement of 64 bits. */
export type Argument = number | Pointer;

/** What happens when a system call answers -errno. */
export type OnError =
  /** Report number of the call and errno on fd 3, exit with status 1. */
  | { readonly type: "fail" }
  | { readonly type: "ignore" }
  /** These errnos are reported as a note and the program goes on; others fail. */
  | { readonly type: "note"; readonly errnos: readonly number[] }
  /** As `note`, without a word. */
  | { readonly type: "tolerate"; readonly errnos: readonly number[] };

export interface Call {
  /** Number by which failures of this call are reported. */
  readonly id: number;
  readonly name: SyscallName;
  readonly args: readonly Argument[];
  readonly onError: OnError;
  /** A zero result ends the process: end of file on the pipe to the parent. */
  readonly exitOnZero?: boolean;
  /** Makes the call a fork: the process in which it answers zero continues here. */
  readonly child?: readonly Call[];
  /** Makes the call a loop. */
  readonly loop?: KillLoop;
}

/**
 * The one loop: `before` runs, whose last call reads a list of process ids into `list`, each with a space behind it.
 * All of them are killed, and the call itself is made; unless it fails, that again.
 */
export interface KillLoop {
  readonly before: readonly Call[];
  readonly list: Pointer;
}

/** System calls that exist under the same name on x86-64 and arm64; nothing else can be encoded. */
export type SyscallName =
  | "capset"
  | "chdir"
  | "chroot"
  | "clone"
  | "close"
  | "close_range"
  | "dup3"
  | "execve"
  | "exit_group"
  | "fchdir"
  | "fchmod"
  | "fchown"
  | "fsconfig"
  | "ftruncate"
  | "fsmount"
  | "fsopen"
  | "ioctl"
  | "keyctl"
  | "kill"
  | "mkdirat"
  | "mknodat"
  | "mount"
  | "mount_setattr"
  | "move_mount"
  | "open_tree"
  | "openat"
  | "openat2"
  | "pidfd_send_signal"
  | "pipe2"
  | "pivot_root"
  | "ppoll"
  | "pread64"
  | "prctl"
  | "prlimit64"
  | "read"
  | "seccomp"
  | "setgroups"
  | "sethostname"
  | "setresgid"
  | "setresuid"
  | "setsid"
  | "socket"
  | "symlinkat"
  | "umask"
  | "umount2"
  | "unshare"
  | "wait4"
  | "waitid"
  | "write";

/** What the program tells on fd 3: 12 bytes, three little-endian 32-bit words: tag, call number, value. */
export const reportTag = {
  /** A call failed; value is the errno. The process is gone. */
  failed: 1,
  /** A call failed and the program went on; value is the errno. */
  noted: 2,
  /** The supervisor lives and waits for a byte. */
  ready: 3,
  /** The command ended; value is its raw wait status. */
  ended: 4,
  /** The command ended; the second word is `si_code`, the value `si_status` of siginfo. */
  endedBy: 5,
} as const;

export const reportSize = 12;
/** The one descriptor beside stdio that a step program starts with: a stream socket to the parent. */
export const reportFd = 3;

export function bytesDatum(bytes: Uint8Array): Datum {
  return { parts: [bytes] };
}

export function scratchDatum(size: number): Datum {
  return { parts: [new Uint8Array(size)] };
}

/** A NUL-terminated string in UTF-8. */
export function textDatum(text: string): Datum {
  return { parts: [text] };
}

/** A NULL-terminated array of strings, as `execve` takes it. */
export function textListDatum(texts: readonly string[]): Datum {
  return { parts: [...texts.map(textDatum), new Uint8Array(8)] };
}

export function wordsDatum(words: readonly number[]): Datum {
  const bytes = Buffer.allocUnsafe(words.length * 4);
  for (let i = 0; i < words.length; i += 1) bytes.writeUInt32LE((words[i] ?? 0) >>> 0, i * 4);
  return bytesDatum(bytes);
}

/** 64-bit numbers, each a safe integer that is not negative. */
export function longsDatum(longs: readonly number[]): Datum {
  return wordsDatum(longs.flatMap((long) => [long % 2 ** 32, Math.floor(long / 2 ** 32)]));
}

export function at(datum: Datum, offset = 0): Pointer {
  return { datum, offset };
}

/** One report record as the program writes it. */
export function reportDatum(tag: number): Datum {
  return wordsDatum([tag, 0, 0]);
}
