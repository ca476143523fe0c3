import { losslessBytes, losslessText } from "../lossless-text.ts";
import { syscallError } from "./errors.ts";
import { cString, type Library, passingBytes, passingPath, textOfBytes } from "./library.ts";
import type { SyscallPath, Syscalls } from "./types.ts";

type XattrCalls = Pick<
  Syscalls,
  | "lsetxattr"
  | "fsetxattr"
  | "lgetxattr"
  | "fgetxattr"
  | "llistxattr"
  | "llistxattrBytes"
  | "flistxattr"
  | "lremovexattr"
>;

// The kernel allocates and clears as much as it is offered, so most calls offer little. XATTR_SIZE_MAX and
// XATTR_LIST_MAX: no value and no list of names is longer than the second one.
const little = Buffer.allocUnsafe(512);
const most = Buffer.allocUnsafe(65536);
const none: readonly string[] = [];

/** The extended attribute calls. Names are text as `losslessText` makes it: they need not be UTF-8. */
export function xattrCalls(library: Library): XattrCalls {
  const lsetxattr = library.define("lsetxattr", ["p", "p", "p", "n", "n"]);
  const fsetxattr = library.define("fsetxattr", ["n", "p", "p", "n", "n"]);
  const lgetxattr = library.ask("lgetxattr", ["p", "p", "p", "n"]);
  const fgetxattr = library.ask("fgetxattr", ["n", "p", "p", "n"]);
  const llistxattr = library.ask("llistxattr", ["p", "p", "n"]);
  const flistxattr = library.ask("flistxattr", ["n", "p", "n"]);
  const lremovexattr = library.define("lremovexattr", ["p", "p"]);
  return {
    lsetxattr: (path, name, value) => {
      lsetxattr([cString(path), cString(losslessBytes(name)), value, value.length, 0], path);
    },
    fsetxattr: (fd, name, value) => {
      fsetxattr([fd, cString(losslessBytes(name)), value, value.length, 0]);
    },
    lgetxattr: (path, name) =>
      readValue(
        (to) => lgetxattr([passingPath(path), cString(losslessBytes(name)), to, to.length]),
        {
          syscall: "lgetxattr",
          path,
        },
      ),
    fgetxattr: (fd, name) =>
      readValue((to) => fgetxattr([fd, cString(losslessBytes(name)), to, to.length]), {
        syscall: "fgetxattr",
      }),
    llistxattr: (path) =>
      readNames((to) => llistxattr([passingPath(path), to, to.length]), {
        syscall: "llistxattr",
        path,
      }),
    llistxattrBytes: (path) =>
      readNames((to) => llistxattr([passingBytes(path), to, to.length]), {
        syscall: "llistxattr",
        bytes: path,
      }),
    flistxattr: (fd) =>
      readNames((to) => flistxattr([fd, to, to.length]), { syscall: "flistxattr" }),
    lremovexattr: (path, name) => {
      lremovexattr([cString(path), cString(losslessBytes(name))], path);
    },
  };
}

/** The length of what was read, or an errno. */
type Read = (target: Buffer) => number | string;

interface Asked {
  readonly syscall: string;
  readonly path?: SyscallPath;
  /** The same with one character a byte. */
  readonly bytes?: string;
}

/** The bytes that `read` gave, in memory that the next call uses again; or an errno. */
function readScratch(read: Read): Buffer | string {
  const length = read(little);
  if (typeof length === "number") return little.subarray(0, length);
  if (length !== "ERANGE") return length;
  const whole = read(most);
  return typeof whole === "number" ? most.subarray(0, whole) : whole;
}

function readValue(read: Read, asked: Asked): Buffer | undefined {
  const value = readScratch(read);
  if (typeof value === "object") return Buffer.from(value);
  if (value === "ENODATA") return undefined;
  throw failed(asked, value);
}

function readNames(read: Read, asked: Asked): readonly string[] {
  const names = readScratch(read);
  if (typeof names === "object") {
    // Each name ends with a NUL.
    return names.length === 0
      ? none
      : losslessText(names.subarray(0, names.length - 1)).split("\0");
  }
  if (names === "EOPNOTSUPP") return none;
  throw failed(asked, names);
}

function failed({ syscall, path, bytes }: Asked, errno: string): Error {
  const text = bytes === undefined ? path?.toString() : textOfBytes(bytes);
  return syscallError({ syscall, errno, path: text });
}
