import { closeSync, constants, openSync, readSync } from "node:fs";

/** Asks another thread to read files into their places of a piece of a tar. */
export interface FillJob {
  readonly kind: "fill";
  /** In shared memory. */
  readonly bytes: Uint8Array;
  readonly files: readonly {
    /** Absolute, as Latin-1. */
    readonly path: string;
    readonly at: number;
    readonly size: number;
  }[];
  /** In shared memory; 1 when all files were there and had their size. */
  readonly done: Int32Array;
}

/** Does it; on the first file that is not as it was announced it stops, and `done` stays 0. */
export function runFillJob({ bytes, files, done }: FillJob): void {
  try {
    for (const file of files) if (!fill(bytes, file)) return;
    Atomics.store(done, 0, 1);
  } catch {
    // Whoever posted the job reads the files once more, and learns what is wrong.
  }
}

function fill(bytes: Uint8Array, { path, at, size }: FillJob["files"][number]): boolean {
  const fd = openSync(Buffer.from(path, "latin1"), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let length = 0; length < size;) {
      const count = readSync(fd, bytes, at + length, size - length, null);
      if (count === 0) return false;
      length += count;
    }
    return true;
  } finally {
    closeSync(fd);
  }
}
