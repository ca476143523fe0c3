import { closeSync, fchmodSync, unlinkSync } from "node:fs";
import { lazySyscalls } from "../core/index.ts";
import { createFile, writeAll } from "./write-content.ts";

/** Small files that another thread is to make, in directories that are there; everything is in the order of the files. */
export interface WriteJob {
  readonly kind: "write";
  /** Absolute, one character a byte, separated by NUL. */
  readonly paths: string;
  /** For each file: where its content begins and how long it is, the mode to make it with, owner, group, the mode to give. */
  readonly numbers: Float64Array;
  /** For each file, nanoseconds. */
  readonly times: BigInt64Array;
  /** Shared: holds the contents. */
  readonly content: Uint8Array;
  /** Shared: 1 for each file once it is complete. */
  readonly marks: Uint8Array;
}

export const numbersLength = 6;
/** In place of an owner or a mode that need not be set. */
export const asMade = -1;

const kernel = lazySyscalls();

/** Makes the files of `job`. Of a file that cannot be made nothing is left, and it stays without a mark. */
export function runWriteJob(job: WriteJob): void {
  for (const [index, path] of job.paths.split("\0").entries()) {
    try {
      makeFile(Buffer.from(path, "latin1"), index, job);
      job.marks[index] = 1;
    } catch {
      // Whoever wants the file makes it himself then, and tells what is wrong.
    }
  }
}

function makeFile(path: Buffer, index: number, job: WriteJob): void {
  const [start = 0, size = 0, mode = 0, uid = asMade, gid = asMade, newMode = asMade] =
    job.numbers.subarray(index * numbersLength);
  const fd = createFile(path, mode);
  try {
    writeAll(fd, job.content.subarray(start, start + size));
    if (uid !== asMade) kernel.lchown(path, uid, gid);
    if (newMode !== asMade) fchmodSync(fd, newMode);
    kernel.futimens(fd, { mtime: job.times[index] });
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}
