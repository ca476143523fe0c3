import { fileCalls } from "./files.ts";
import { openLibrary } from "./library.ts";
import { lookCalls } from "./look.ts";
import { processCalls } from "./processes.ts";
import type { Syscalls } from "./types.ts";
import { xattrCalls } from "./xattrs.ts";

let loaded: Syscalls | undefined;

/**
 * The system calls, loaded when first asked for (10 to 20 ms); later calls get the same object.
 * @throws SYSCALLS_UNAVAILABLE where the library is missing or the machine is none of ours
 */
export async function loadSyscalls(): Promise<Syscalls> {
  return syscallsNow();
}

/**
 * The system calls, loaded when the first of them is made: for whoever may never make one, as a build of which every
 * step is cached. That call may throw SYSCALLS_UNAVAILABLE.
 */
export function lazySyscalls(): Syscalls {
  const calls = {};
  for (const name of names) {
    const get = (): unknown => {
      // From here on it is a plain object: calls are made once for every file of a layer.
      for (const [key, value] of Object.entries(syscallsNow())) {
        Object.defineProperty(calls, key, { value });
      }
      return Reflect.get(calls, name);
    };
    Object.defineProperty(calls, name, { get, configurable: true, enumerable: true });
  }
  return calls as Syscalls;
}

/** The same without a promise. @throws SYSCALLS_UNAVAILABLE */
export function syscallsNow(): Syscalls {
  loaded ??= load();
  return loaded;
}

function load(): Syscalls {
  const library = openLibrary();
  return {
    ...fileCalls(library),
    ...xattrCalls(library),
    ...lookCalls(library),
    ...processCalls(library),
  };
}

const isCall: Readonly<Record<keyof Syscalls, true>> = {
  mknod: true,
  mkfifo: true,
  lsetxattr: true,
  fsetxattr: true,
  lgetxattr: true,
  fgetxattr: true,
  llistxattr: true,
  llistxattrBytes: true,
  flistxattr: true,
  lremovexattr: true,
  lchown: true,
  utimens: true,
  futimens: true,
  flock: true,
  unlock: true,
  openat2: true,
  renameat2: true,
  linkat: true,
  cloneFile: true,
  memfdCreate: true,
  syncfs: true,
  lstat: true,
  lstatBytes: true,
  fstat: true,
  listNames: true,
  listDirectory: true,
  openReal: true,
  plainFiles: true,
  readPlainFile: true,
  prlimit: true,
};

const names = Object.keys(isCall);
