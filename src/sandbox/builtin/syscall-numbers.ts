import type { SyscallName } from "./program.ts";

/** Numbers from the kernel's own tables (arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl). */
interface SyscallNumbers {
  readonly x64: number;
  readonly arm64: number;
}

/** From 424 on, all architectures share one numbering. */
const shared = (number: number): SyscallNumbers => ({ x64: number, arm64: number });

export const syscallNumbers: Readonly<Record<SyscallName, SyscallNumbers>> = {
  capset: { x64: 126, arm64: 91 },
  chdir: { x64: 80, arm64: 49 },
  chroot: { x64: 161, arm64: 51 },
  clone: { x64: 56, arm64: 220 },
  close: { x64: 3, arm64: 57 },
  close_range: shared(436),
  dup3: { x64: 292, arm64: 24 },
  execve: { x64: 59, arm64: 221 },
  exit_group: { x64: 231, arm64: 94 },
  fchdir: { x64: 81, arm64: 50 },
  fchmod: { x64: 91, arm64: 52 },
  fchown: { x64: 93, arm64: 55 },
  fsconfig: shared(431),
  fsmount: shared(432),
  fsopen: shared(430),
  ftruncate: { x64: 77, arm64: 46 },
  ioctl: { x64: 16, arm64: 29 },
  keyctl: { x64: 250, arm64: 219 },
  kill: { x64: 62, arm64: 129 },
  mkdirat: { x64: 258, arm64: 34 },
  mknodat: { x64: 259, arm64: 33 },
  mount: { x64: 165, arm64: 40 },
  mount_setattr: shared(442),
  move_mount: shared(429),
  open_tree: shared(428),
  openat: { x64: 257, arm64: 56 },
  openat2: shared(437),
  pidfd_send_signal: shared(424),
  pipe2: { x64: 293, arm64: 59 },
  pivot_root: { x64: 155, arm64: 41 },
  ppoll: { x64: 271, arm64: 73 },
  pread64: { x64: 17, arm64: 67 },
  prctl: { x64: 157, arm64: 167 },
  prlimit64: { x64: 302, arm64: 261 },
  read: { x64: 0, arm64: 63 },
  seccomp: { x64: 317, arm64: 277 },
  setgroups: { x64: 116, arm64: 159 },
  sethostname: { x64: 170, arm64: 161 },
  setresgid: { x64: 119, arm64: 149 },
  setresuid: { x64: 117, arm64: 147 },
  setsid: { x64: 112, arm64: 157 },
  socket: { x64: 41, arm64: 198 },
  symlinkat: { x64: 266, arm64: 36 },
  umask: { x64: 95, arm64: 166 },
  umount2: { x64: 166, arm64: 39 },
  unshare: { x64: 272, arm64: 97 },
  wait4: { x64: 61, arm64: 260 },
  waitid: { x64: 247, arm64: 95 },
  write: { x64: 1, arm64: 64 },
};
