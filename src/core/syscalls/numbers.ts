/**
 * System call numbers. Everything goes through libc's `syscall` and these numbers, because the named wrappers differ:
 * glibc before 2.33 has no `mknod` symbol, musl has no `renameat2`, nobody has `openat2`.
 * @see Linux arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
 */
const tables = {
  x64: {
    close: 3,
    ioctl: 16,
    pread64: 17,
    flock: 73,
    lsetxattr: 189,
    fsetxattr: 190,
    lgetxattr: 192,
    fgetxattr: 193,
    llistxattr: 195,
    flistxattr: 196,
    lremovexattr: 198,
    getdents64: 217,
    mknodat: 259,
    fchownat: 260,
    linkat: 265,
    utimensat: 280,
    prlimit64: 302,
    syncfs: 306,
    renameat2: 316,
    memfd_create: 319,
    statx: 332,
    openat2: 437,
  },
  arm64: {
    lsetxattr: 6,
    fsetxattr: 7,
    lgetxattr: 9,
    fgetxattr: 10,
    llistxattr: 12,
    flistxattr: 13,
    lremovexattr: 15,
    ioctl: 29,
    flock: 32,
    mknodat: 33,
    linkat: 37,
    fchownat: 54,
    close: 57,
    getdents64: 61,
    pread64: 67,
    utimensat: 88,
    prlimit64: 261,
    syncfs: 267,
    renameat2: 276,
    memfd_create: 279,
    statx: 291,
    openat2: 437,
  },
} as const;

export type SyscallName = keyof (typeof tables)["x64"];

/** undefined on an architecture that we have no table for. */
export function syscallNumbers(
  architecture: string,
): Readonly<Record<SyscallName, number>> | undefined {
  return architecture === "x64" || architecture === "arm64" ? tables[architecture] : undefined;
}
