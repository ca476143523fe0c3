import { fileCalls } from "./files.ts";
import { openLibrary } from "./library.ts";
import { processCalls } from "./processes.ts";
import type { Syscalls } from "./types.ts";
import { xattrCalls } from "./xattrs.ts";

let loading: Promise<Syscalls> | undefined;

/**
 * The system calls, loaded when first asked for (10 to 20 ms); later calls get the same object.
 * @throws SYSCALLS_UNAVAILABLE where the library is missing or the machine is none of ours
 */
export async function loadSyscalls(): Promise<Syscalls> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Syscalls> {
  const library = await openLibrary();
  return { ...fileCalls(library), ...xattrCalls(library), ...processCalls(library) };
}
