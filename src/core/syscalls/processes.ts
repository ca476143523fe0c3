import { setTimeout as sleep } from "node:timers/promises";
import { syscallErrno } from "./errors.ts";
import type { Library } from "./library.ts";
import type { Syscalls } from "./types.ts";

type ProcessCalls = Pick<Syscalls, "flock" | "unlock" | "prlimit">;

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/** Calls between processes: locks and limits. */
export function processCalls(library: Library): ProcessCalls {
  const flock = library.define("flock", ["n", "n"]);
  const prlimit = library.define("prlimit64", ["n", "n", "p", "p"]);

  const tryLock = (fd: number, exclusive: boolean): boolean => {
    try {
      flock([fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB]);
      return true;
    } catch (error) {
      if (syscallErrno(error) === "EAGAIN") return false;
      throw error;
    }
  };

  return {
    flock: async (fd, { exclusive, nonBlocking = false, signal }) => {
      for (let wait = 1; ; wait = Math.min(wait * 2, 50)) {
        signal?.throwIfAborted();
        if (tryLock(fd, exclusive)) return true;
        if (nonBlocking) return false;
        await sleepOrAbort(wait, signal);
      }
    },
    unlock: (fd) => {
      flock([fd, LOCK_UN]);
    },
    prlimit: (pid, resource, limit) => {
      const before = Buffer.alloc(16);
      prlimit([pid, resource, limit === undefined ? null : encodeLimit(limit), before]);
      return { soft: before.readBigUInt64LE(0), hard: before.readBigUInt64LE(8) };
    },
  };
}

function encodeLimit({ soft, hard }: { readonly soft: bigint; readonly hard: bigint }): Buffer {
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeBigUInt64LE(soft, 0);
  bytes.writeBigUInt64LE(hard, 8);
  return bytes;
}

/** Node's timer rejects with its own AbortError; callers want the signal's reason. */
async function sleepOrAbort(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
