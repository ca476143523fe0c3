import { createHash, hash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { lazySyscalls } from "../../core/index.ts";
import { isVersion } from "../file-versions.ts";

/** Asks another thread to read files into their places of a piece of a tar. */
export interface FillJob {
  readonly kind: "fill";
  /** In shared memory. */
  readonly bytes: Uint8Array;
  /** Absolute, one character a byte, separated by NUL. */
  readonly paths: string;
  /** For each file: where its content is to begin, how long it is, and where in the file it begins. */
  readonly places: Float64Array;
  /**
   * For files that may change: mtime, ctime, inode and device of each, as `versionsOf` gives them. Whoever asks has seen that
   * they had no attributes, after their version. They are read from their beginning to their end.
   */
  readonly versions?: BigUint64Array;
  /** Asks for the digest of each file. */
  readonly digests?: DigestsAsked;
  /** In shared memory; 1 when all files were there and had their size. */
  readonly done: Int32Array;
}

/** The digests of some files, each with a head before its content. */
export interface DigestsAsked {
  /** Of ASCII, separated by NUL; empty where none is wanted. */
  readonly heads: string;
  /** 32 bytes for each, in shared memory. */
  readonly results: Uint8Array;
}

const digestLength = 32;
const kernel = lazySyscalls();

/** Does it; on the first file that is not as it was announced it stops, and `done` stays 0. */
export function runFillJob({ bytes, paths, places, versions, digests, done }: FillJob): void {
  try {
    const heads = digests?.heads.split("\0");
    const names = paths.split("\0");
    for (let index = 0; index < names.length; index++) {
      const name = names[index] ?? "";
      const at = places[3 * index] ?? 0;
      const content = bytes.subarray(at, at + (places[3 * index + 1] ?? 0));
      if (versions !== undefined) {
        if (!readVersion(name, { versions, index }, content)) return;
      } else {
        const part = { path: Buffer.from(name, "latin1"), from: places[3 * index + 2] ?? 0 };
        if (!readPart(part, content)) return;
      }
      const head = heads?.[index] ?? "";
      if (head !== "") digests?.results.set(digestBehind(head, content), index * digestLength);
    }
    Atomics.store(done, 0, 1);
  } catch {
    // Whoever posted the job reads the files once more, and learns what is wrong.
  }
}

/** Room for a head and a small content, so that they are hashed in one call. */
const scratch = Buffer.allocUnsafeSlow(8 * 1024);
/** To hash what lies in two places takes a microsecond more, and to lay 2 KiB of shared memory behind the head does, too. */
const onePlace = 2048;

/** The 32 bytes of the digest of `head`, which is ASCII, and `content` behind it. */
export function digestBehind(head: string, content: Uint8Array): Uint8Array {
  const length = head.length + content.length;
  if (content.length >= onePlace || length > scratch.length)
    return createHash("sha256").update(head, "latin1").update(content).digest();
  scratch.write(head, 0, "latin1");
  scratch.set(content, head.length);
  return hash("sha256", scratch.subarray(0, length), "buffer");
}

/** Fills `content` from byte `from` of the file on; false when the file ends before. */
export function readPart(
  { path, from }: { readonly path: Buffer; readonly from: number },
  content: Uint8Array,
): boolean {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return readFully({ fd, from }, content);
  } finally {
    closeSync(fd);
  }
}

/**
 * Fills `content` with all of a file without attributes; false when what was read is not of that version. That it had none was
 * seen after the version was: to get some would have changed its ctime.
 */
function readVersion(
  path: string,
  { versions, index }: { readonly versions: BigUint64Array; readonly index: number },
  content: Uint8Array,
): boolean {
  const fd = kernel.openReal(path);
  try {
    if (!readFully({ fd, from: 0 }, content)) return false;
    const stat = kernel.fstat(fd);
    return stat.size === BigInt(content.length) && isVersion(stat, versions, index);
  } finally {
    closeSync(fd);
  }
}

function readFully(
  { fd, from }: { readonly fd: number; readonly from: number },
  content: Uint8Array,
): boolean {
  for (let length = 0; length < content.length;) {
    const count = readSync(fd, content, length, content.length - length, from + length);
    if (count === 0) return false;
    length += count;
  }
  return true;
}
