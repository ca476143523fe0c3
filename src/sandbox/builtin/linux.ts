/** Numbers of the kernel's user-space interface (include/uapi/linux); the same on x86-64 and arm64. */

export const cloneFlag = {
  pidfd: 0x1000,
  newMount: 0x20000,
  newCgroup: 0x2000000,
  newUts: 0x4000000,
  newIpc: 0x8000000,
  newPid: 0x20000000,
  newNet: 0x40000000,
} as const;

/** `MS_*` of mount(2). */
export const mountFlag = { recursive: 0x4000, private: 0x40000 } as const;

/** `MOUNT_ATTR_*` of fsmount(2) and mount_setattr(2). */
export const mountAttribute = {
  readOnly: 0x1,
  noSuid: 0x2,
  noDev: 0x4,
  noExec: 0x8,
  strictAtime: 0x20,
} as const;

export const openFlag = {
  writeOnly: 0x1,
  create: 0x40,
  exclusive: 0x80,
  closeOnExec: 0x80000,
  path: 0x200000,
} as const;

export const atFlag = { cwd: -100, emptyPath: 0x1000, recursive: 0x8000 } as const;

/** `RESOLVE_*` of openat2(2). */
export const resolveFlag = { noMagicLinks: 0x2, noSymlinks: 0x4, beneath: 0x8 } as const;

export const openTree = { clone: 1, closeOnExec: openFlag.closeOnExec } as const;
export const moveMount = { fromEmptyPath: 0x4, toEmptyPath: 0x40 } as const;
export const fsopenCloseOnExec = 1;
export const fsmountCloseOnExec = 1;
/** Mark instead of close, for close_range(2). */
export const closeRangeOnExec = 4;
/** Commands of fsconfig(2). */
export const fsconfig = { setFlag: 0, setString: 1, create: 6 } as const;
export const unmountDetach = 2;

export const fileType = { regular: 0o100000 } as const;

/** Options of prctl(2). */
export const prctl = {
  setParentDeathSignal: 1,
  dropBoundingCapability: 24,
  setSecurebits: 28,
  setChildSubreaper: 36,
  ambient: 47,
} as const;
export const ambientClearAll = 4;

export const signal = { kill: 9, child: 17 } as const;
export const waitAllChildren = 0x40000000;
/** `P_PIDFD` and `WEXITED` of waitid(2). */
export const waitByPidfd = 3;
export const waitForExit = 4;
export const pollIn = 1;
export const pollReadHangup = 0x2000;
export const keyctlJoinSession = 1;

export const seccompSetModeFilter = 1;
/** Leave speculation mitigations as they are; a filter would otherwise turn them on and slow everything down. */
export const seccompSpecAllow = 4;

export const capabilityVersion3 = 0x20080522;

export const socket = { inet: 2, datagram: 2, closeOnExec: 0x80000 } as const;
export const setInterfaceFlags = 0x8914;
export const interfaceUp = 0x1;

export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  ECHILD: 10,
  ENOEXEC: 8,
  EACCES: 13,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EINVAL: 22,
  ENOSPC: 28,
  EROFS: 30,
  ENOSYS: 38,
  ELOOP: 40,
  EDQUOT: 122,
} as const;
