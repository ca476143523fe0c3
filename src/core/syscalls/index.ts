export {
  explainSystemError,
  isDiskFull,
  syscallErrno,
  syscallError,
  tellPath,
  type SyscallFailure,
} from "./errors.ts";
export { lazySyscalls, loadSyscalls, syscallsNow } from "./load.ts";
export { fileStat, fileTypeOf, splitDevice } from "./look.ts";
export {
  rlimInfinity,
  rlimits,
  type FileStat,
  type FileType,
  type ResolveFlags,
  type ResourceLimit,
  type SyscallPath,
  type Syscalls,
} from "./types.ts";
export {
  compileSeccomp,
  type SeccompAction,
  type SeccompCondition,
  type SeccompProgram,
  type SeccompRequest,
  type SeccompRule,
} from "./seccomp.ts";
