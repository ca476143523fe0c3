import { closeSync } from "node:fs";
import { lazySyscalls } from "../core/index.ts";
import { openRealFile } from "./host-files.ts";
import { digestPlainFile } from "./node-digest.ts";
import { isSameVersion, statKeyOf } from "./stat-key.ts";
import type { StatKey } from "./types.ts";

/** Small files whose digests another thread is to take; everything is in the order of the files. */
export interface DigestJob {
  readonly kind: "digest";
  /** Absolute, one character a byte, separated by NUL. */
  readonly paths: string;
  /** For each file: mode, uid, gid, size. */
  readonly looks: Float64Array;
  /** For each file: mtime, ctime, inode, device; empty for files that never change. */
  readonly versions: BigUint64Array;
  /** Shared. For each file 1 once its digest is taken, and the 32 bytes of the digest. */
  readonly results: Uint8Array;
}

export const looksLength = 4;
export const versionLength = 4;
export const resultLength = 33;

const kernel = lazySyscalls();

/**
 * Takes the digests of `job`. What is no plain file without attributes of exactly the version that was asked for, or
 * cannot be read, is left undone.
 */
export function runDigestJob(job: DigestJob): void {
  for (const [index, path] of job.paths.split("\0").entries()) {
    try {
      const digest = digestOf(path, index, job);
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
    const [mode = 0, uid = 0, gid = 0, size = 0] = job.looks.subarray(index * looksLength);
    const digest = digestPlainFile(fd, { mode, uid, gid, size });
    if (job.versions.length === 0) return digest;
    const [mtimeNs = 0n, ctimeNs = 0n, inode = 0n, device = 0n] = job.versions.subarray(
      index * versionLength,
    );
    const found = unsigned(statKeyOf(path, kernel.fstat(fd)));
    const wanted = { path, size: BigInt(size), mtimeNs, ctimeNs, inode, device };
    return isSameVersion(found, wanted) ? digest : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Times before 1970 as they come out of a BigUint64Array. */
function unsigned(version: StatKey): StatKey {
  const { mtimeNs, ctimeNs } = version;
  return {
    ...version,
    mtimeNs: BigInt.asUintN(64, mtimeNs),
    ctimeNs: BigInt.asUintN(64, ctimeNs),
  };
}
