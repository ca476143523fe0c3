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

// The kernel allocates and clears as much as it is offered, so most calls offer little. XATTR_SIZE_MAX and
// XATTR_LIST_MAX: no value and no list of names is longer than the second one.
const little = Buffer.allocUnsafe(512);
const most = Buffer.allocUnsafe(65536);

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
      readValue((to) => lgetxattr([cString(path), cString(name), to, to.length], path)),
    fgetxattr: (fd, name) => readValue((to) => fgetxattr([fd, cString(name), to, to.length])),
    llistxattr: (path) => readNames((to) => llistxattr([cString(path), to, to.length], path)),
    flistxattr: (fd) => readNames((to) => flistxattr([fd, to, to.length])),
    lremovexattr: (path, name) => {
      lremovexattr([cString(path), cString(name)], path);
    },
  };
}

type Read = (target: Buffer) => ReturnType<Call>;

/** The bytes that `read` gave, in memory that the next call uses again. */
function readScratch(read: Read): Buffer {
  try {
    return little.subarray(0, read(little));
  } catch (error) {
    if (syscallErrno(error) !== "ERANGE") throw error;
    return most.subarray(0, read(most));
  }
}

function readValue(read: Read): Buffer | undefined {
  try {
    return Buffer.from(readScratch(read));
  } catch (error) {
    if (syscallErrno(error) === "ENODATA") return undefined;
    throw error;
  }
}

function readNames(read: Read): string[] {
  try {
    const names = readScratch(read);
    // Each name ends with a NUL.
    return names.length === 0 ? [] : names.toString("utf8", 0, names.length - 1).split("\0");
  } catch (error) {
    if (syscallErrno(error) === "EOPNOTSUPP") return [];
    throw error;
  }
}
