import { closeSync, constants, openSync, readSync } from "node:fs";

/** Asks another thread to read files into their places of a piece of a tar. */
export interface FillJob {
  readonly kind: "fill";
  /** In shared memory. */
  readonly bytes: Uint8Array;
  /** Absolute, one character a byte, separated by NUL. */
  readonly paths: string;
  /** For each file: where its content is to begin, how long it is, and where in the file it begins. */
  readonly places: Float64Array;
  /** In shared memory; 1 when all files were there and had their size. */
  readonly done: Int32Array;
}

/** Does it; on the first file that is not as it was announced it stops, and `done` stays 0. */
export function runFillJob({ bytes, paths, places, done }: FillJob): void {
  try {
    for (const [index, path] of paths.split("\0").entries()) {
      const [at = 0, size = 0, from = 0] = places.subarray(3 * index);
      const file = { path: Buffer.from(path, "latin1"), from };
      if (!readPart(file, bytes.subarray(at, at + size))) return;
    }
    Atomics.store(done, 0, 1);
  } catch {
    // Whoever posted the job reads the files once more, and learns what is wrong.
  }
}

/** Fills `content` from byte `from` of the file on; false when the file ends before. */
export function readPart(
  { path, from }: { readonly path: Buffer; readonly from: number },
  content: Uint8Array,
): boolean {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let length = 0; length < content.length;) {
      const count = readSync(fd, content, length, content.length - length, from + length);
      if (count === 0) return false;
      length += count;
    }
    return true;
  } finally {
    closeSync(fd);
  }
}
