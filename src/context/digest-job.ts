import { closeSync } from "node:fs";
import { lazySyscalls } from "../core/index.ts";
import { isVersion } from "../layer/index.ts";
import { openRealFile } from "./host-files.ts";
import { digestPlainFile, type PlainLooks } from "./node-digest.ts";

/** Small files whose digests another thread is to take; everything is in the order of the files. */
export interface DigestJob {
  readonly kind: "digest";
  /** Absolute, one character a byte, separated by NUL. */
  readonly paths: string;
  /** For each file: mode, uid, gid, size. */
  readonly looks: Float64Array;
  /** As `versionsOf` gives them; empty for files that never change. */
  readonly versions: BigInt64Array;
  /** Shared. For each file 1 once its digest is taken, and the 32 bytes of the digest. */
  readonly results: Uint8Array;
}

export const looksLength = 4;
export const resultLength = 33;

const kernel = lazySyscalls();

/**
 * Takes the digests of `job`. What is no plain file without attributes of exactly the version that was asked for, or
 * cannot be read, is left undone.
 */
export function runDigestJob(job: DigestJob): void {
  const paths = job.paths.split("\0");
  for (let index = 0; index < paths.length; index++) {
    try {
      const digest = digestOf(paths[index] ?? "", index, job);
      if (digest === undefined) continue;
      job.results.set(digest, index * resultLength + 1);
      job.results[index * resultLength] = 1;
    } catch {
      // Whoever wants the digest tries again, and tells what is wrong.
    }
  }
}

function digestOf(path: string, index: number, job: DigestJob): Buffer | undefined {
  const fd = openRealFile(kernel, path);
  if (typeof fd !== "number") return undefined;
  try {
    if (kernel.flistxattr(fd).length > 0) return undefined;
    const looks = looksAt(job.looks, index * looksLength);
    const digest = digestPlainFile(fd, looks);
    if (job.versions.length === 0) return digest;
    return isVersion(kernel.fstat(fd), job.versions, index) ? digest : undefined;
  } finally {
    closeSync(fd);
  }
}

function looksAt(looks: Float64Array, at: number): PlainLooks {
  const [mode, uid, gid, size] = [looks[at], looks[at + 1], looks[at + 2], looks[at + 3]];
  return { mode: mode ?? 0, uid: uid ?? 0, gid: gid ?? 0, size: size ?? 0 };
}
