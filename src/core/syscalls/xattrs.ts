import { syscallErrno } from "./errors.ts";
import { type Call, cString, type Library } from "./library.ts";
import type { Syscalls } from "./types.ts";

type XattrCalls = Pick<
  Syscalls,
  | "lsetxattr"
  | "fsetxattr"
  | "lgetxattr"
  | "fgetxattr"
  | "llistxattr"
  | "flistxattr"
  | "lremovexattr"
>;

// XATTR_SIZE_MAX and XATTR_LIST_MAX: no value and no list of names is longer, so one call always suffices.
const scratch = Buffer.allocUnsafe(65536);

/** The extended attribute calls. */
export function xattrCalls(library: Library): XattrCalls {
  const lsetxattr = library.define("lsetxattr", ["p", "p", "p", "n", "n"]);
  const fsetxattr = library.define("fsetxattr", ["n", "p", "p", "n", "n"]);
  const lgetxattr = library.define("lgetxattr", ["p", "p", "p", "n"]);
  const fgetxattr = library.define("fgetxattr", ["n", "p", "p", "n"]);
  const llistxattr = library.define("llistxattr", ["p", "p", "n"]);
  const flistxattr = library.define("flistxattr", ["n", "p", "n"]);
  const lremovexattr = library.define("lremovexattr", ["p", "p"]);
  return {
    lsetxattr: (path, name, value) => {
      lsetxattr([cString(path), cString(name), value, value.length, 0], path);
    },
    fsetxattr: (fd, name, value) => {
      fsetxattr([fd, cString(name), value, value.length, 0]);
    },
    lgetxattr: (path, name) =>
      readValue(() => lgetxattr([cString(path), cString(name), scratch, scratch.length], path)),
    fgetxattr: (fd, name) =>
      readValue(() => fgetxattr([fd, cString(name), scratch, scratch.length])),
    llistxattr: (path) =>
      readNames(() => llistxattr([cString(path), scratch, scratch.length], path)),
    flistxattr: (fd) => readNames(() => flistxattr([fd, scratch, scratch.length])),
    lremovexattr: (path, name) => {
      lremovexattr([cString(path), cString(name)], path);
    },
  };
}

function readValue(call: () => ReturnType<Call>): Buffer | undefined {
  try {
    return Buffer.from(scratch.subarray(0, call()));
  } catch (error) {
    if (syscallErrno(error) === "ENODATA") return undefined;
    throw error;
  }
}

function readNames(call: () => ReturnType<Call>): string[] {
  try {
    const length = call();
    // Each name ends with a NUL.
    return length === 0 ? [] : scratch.toString("utf8", 0, length - 1).split("\0");
  } catch (error) {
    if (syscallErrno(error) === "EOPNOTSUPP") return [];
    throw error;
  }
}
