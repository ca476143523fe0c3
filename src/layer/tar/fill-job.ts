import { createHash, hash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { lazySyscalls } from "../../core/index.ts";

/** Asks another thread to read files into their places of a piece of a tar. */
export interface FillJob {
  readonly kind: "fill";
  /** In shared memory. */
  readonly bytes: Uint8Array;
  /** Absolute, a NUL behind each. */
  readonly paths: Uint8Array;
  /** For each file: where its path begins, where its content is to begin, how long it is, and where in the file it begins. */
  readonly places: Float64Array;
  /**
   * For files that may change: the versions of all, as `FileVersions` has them. Whoever asks has seen that they had no attributes,
   * after their version. They are read from their beginning to their end.
   */
  readonly versions?: BigInt64Array;
  /** Asks for the digest of each file. */
  readonly digests?: DigestsAsked;
  /** In shared memory; 1 when all files were there and had their size. `headStands` where a thread that died left one. */
  readonly done: Int32Array;
}

/** In `FillJob.done` while a head stands before a content, in the place of something else. */
export const headStands = 2;

/** Numbers of `FillJob.places` for each file. */
export const placeLength = 4;

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
    const count = places.length / placeLength;
    for (let index = 0; index < count; index++) {
      const next = placeLength * index;
      const path = paths.subarray(places[next]);
      const at = places[next + 1] ?? 0;
      const content = bytes.subarray(at, at + (places[next + 2] ?? 0));
      const from = places[next + 3] ?? 0;
      const isRead =
        versions === undefined
          ? readPart({ path: path.subarray(0, path.indexOf(0)), from }, content)
          : kernel.readPlainFile(path, content, { versions, index });
      if (!isRead) return;
      const head = heads?.[index] ?? "";
      if (head === "") continue;
      done[0] = headStands;
      digests?.results.set(digestBehind(head, content), index * digestLength);
      done[0] = 0;
    }
    Atomics.store(done, 0, 1);
  } catch {
    // Whoever posted the job reads the files once more, and learns what is wrong.
    done[0] = 0;
  }
}

/** A head, and what stands in its place meanwhile. */
const headPlace = Buffer.allocUnsafeSlow(1024);
const keptPlace = new Uint8Array(headPlace.length);

/**
 * The 32 bytes of the digest of `head`, which is ASCII, and `content` behind it. For the time of the call the head stands before
 * the content, in memory that nobody else may look at then: to hash what lies in two places takes three calls more.
 */
export function digestBehind(head: string, content: Uint8Array): Uint8Array {
  const { buffer, byteOffset } = content;
  const { length } = head;
  if (length > byteOffset || length > headPlace.length)
    return createHash("sha256").update(head, "latin1").update(content).digest();
  headPlace.write(head, 0, "latin1");
  const whole = new Uint8Array(buffer, byteOffset - length, length + content.length);
  keptPlace.set(whole.subarray(0, length));
  try {
    whole.set(headPlace.subarray(0, length));
    return hash("sha256", whole, "buffer");
  } finally {
    whole.set(keptPlace.subarray(0, length));
  }
}

/** Fills `content` from byte `from` of the file on; false when the file ends before. */
export function readPart(
  { path, from }: { readonly path: Uint8Array; readonly from: number },
  content: Uint8Array,
): boolean {
  const fd = openSync(Buffer.from(path), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return readFully({ fd, from }, content);
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
