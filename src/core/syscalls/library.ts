import { syscallError } from "./errors.ts";
import { loadKoffi, unavailable } from "./koffi.ts";
import { type SyscallName, syscallNumbers } from "./numbers.ts";
import type { SyscallPath } from "./types.ts";

/** A pointer argument: bytes, or null. */
export type Pointer = Uint8Array | null;

/** How an argument is passed: `p` a pointer, `n` an integer of up to 64 bits. */
export type Signature = readonly ("p" | "n")[];

type Argument = number | bigint | Pointer;

/** One system call, checked: a failure throws, told with the path if there is one. */
export type Call = (args: readonly Argument[], path?: SyscallPath) => number;

/** One system call; the errno's name where it fails. An error takes five times as long to make as most calls take. */
export type Ask = (args: readonly Argument[]) => number | string;

export interface Library {
  define(name: SyscallName, signature: Signature): Call;
  /** For calls of which many fail. */
  ask(name: SyscallName, signature: Signature): Ask;
  /** The same on a thread of the pool. The errno stays in that thread: the answer is only whether it worked. */
  defineAsync(
    name: SyscallName,
    signature: Signature,
  ): (args: readonly Argument[]) => Promise<boolean>;
}

/** @throws SYSCALLS_UNAVAILABLE */
export function openLibrary(): Library {
  const numbers = syscallNumbers(process.arch);
  if (numbers === undefined || process.platform !== "linux") throw unavailable(undefined);
  const koffi = loadKoffi();
  const libc = koffi.load(null);
  const errnoNames = nameErrnos(koffi.os.errno);

  // Calls of one signature are one function of libc, whose first argument is the call's number.
  const declared = new Map<string, ReturnType<typeof libc.func>>();
  const declare = (signature: Signature) => {
    const key = signature.join("");
    let known = declared.get(key);
    if (known === undefined) {
      known = libc.func("syscall", "long", ["long", ...signature.map((kind) => types[kind])]);
      declared.set(key, known);
    }
    return known;
  };

  const ask: Library["ask"] = (name, signature) => {
    const number = numbers[name];
    // Of two dozen calls a command makes a few, and to declare one takes 0.1 ms.
    let call: ((...args: readonly Argument[]) => number) | undefined;
    return (args) => {
      call ??= declare(signature) as (...args: readonly Argument[]) => number;
      const result = call(number, ...args);
      if (result >= 0) return result;
      const code = koffi.errno();
      return errnoNames.get(code) ?? `errno ${String(code)}`;
    };
  };

  return {
    ask,
    define(name, signature) {
      const call = ask(name, signature);
      return (args, path) => {
        const result = call(args);
        if (typeof result === "number") return result;
        throw syscallError({ syscall: name, errno: result, path: path?.toString() });
      };
    },
    defineAsync(name, signature) {
      const number = numbers[name];
      return async (args) =>
        new Promise((resolve, reject) => {
          const call = declare(signature).async as (...args: readonly unknown[]) => void;
          call(number, ...args, (error: unknown, result: number) => {
            if (error instanceof Error) reject(error);
            else resolve(result >= 0);
          });
        });
    },
  };
}

/** Where two names share a number, the one that Linux' manual pages use. */
function nameErrnos(codes: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  const aliases = ["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"];
  const names = Object.entries(codes).filter(([name]) => !aliases.includes(name));
  return new Map(names.map(([name, code]) => [code, name]));
}

const types = { p: "const void *", n: "long" } as const;

/** PATH_MAX: no path that the kernel takes is longer. */
const place = Buffer.alloc(4096);

/**
 * `cString` in memory that the next call uses again: for the one path of a call that is made for every file.
 */
export function passingPath(path: SyscallPath): Buffer {
  const length = typeof path === "string" ? path.length * 3 : path.length;
  const hasNul = typeof path === "string" ? path.includes("\0") : path.includes(0);
  if (length >= place.length || hasNul) return cString(path);
  const end = typeof path === "string" ? place.write(path) : path.copy(place);
  place[end] = 0;
  return place;
}

/** The same of a path with one character a byte. */
export function passingBytes(path: string): Buffer {
  if (path.length >= place.length || path.includes("\0"))
    return cString(Buffer.from(path, "latin1"));
  place[place.write(path, 0, "latin1")] = 0;
  return place;
}

/** A path with one character a byte as text for people. */
export function textOfBytes(path: string): string {
  return Buffer.from(path, "latin1").toString();
}

/** The bytes with a final NUL. @throws SYSCALL_FAILED (EINVAL) when there is a NUL inside */
export function cString(text: SyscallPath): Buffer {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  if (bytes.includes(0)) {
    throw syscallError({
      syscall: "path",
      errno: "EINVAL",
      path: JSON.stringify(bytes.toString()),
    });
  }
  const terminated = Buffer.allocUnsafe(bytes.length + 1);
  terminated.set(bytes);
  terminated[bytes.length] = 0;
  return terminated;
}
