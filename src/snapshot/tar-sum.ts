import { readSync } from "node:fs";
import { Digester } from "../core/index.ts";

/** Asks another thread what the digest of a tar is, of which it has written parts (`PutJob`). */
export interface SumJob {
  readonly kind: "sum";
  /** As in those. */
  readonly tar: number;
  readonly fd: number;
  /** Of the whole tar, all of which is written. */
  readonly length: number;
  /** In shared memory: the digest as text. Stays as it was where the thread cannot tell. */
  readonly result: Uint8Array;
}

/** Length of a digest as text. */
export const sumLength = "sha256:".length + 64;

const readSize = 512 * 1024;

/** In the thread: the tars that it has in hand, by number. */
const inHand = new Map<number, RunningSum>();

/** The digest of a file that is written from its beginning to its end; what others wrote in between is read. */
class RunningSum {
  readonly #digester = new Digester();
  #length = 0;
  #isBroken = false;

  /** `bytes` are what the file has at `position`. All before is there. */
  add(fd: number, bytes: Uint8Array, position: number): void {
    this.#catchUp(fd, position);
    this.#digester.update(bytes);
    this.#length += bytes.length;
  }

  /** undefined when something went wrong on the way. */
  end(fd: number, length: number): string | undefined {
    this.#catchUp(fd, length);
    return this.#isBroken ? undefined : this.#digester.digest();
  }

  #catchUp(fd: number, end: number): void {
    const place = Buffer.allocUnsafe(Math.min(readSize, Math.max(end - this.#length, 0)));
    while (!this.#isBroken && this.#length < end) {
      const length = Math.min(place.length, end - this.#length);
      const count = readPart(fd, place.subarray(0, length), this.#length);
      this.#isBroken = count === 0;
      this.#digester.update(place.subarray(0, count));
      this.#length += count;
    }
  }
}

/** 0 at the end of the file, and where it cannot be read. */
function readPart(fd: number, place: Buffer, position: number): number {
  try {
    return readSync(fd, place, 0, place.length, position);
  } catch {
    return 0;
  }
}

/** In the thread: counts a part that it has written. */
export function addToSum(
  tar: number,
  part: { readonly fd: number; readonly bytes: Uint8Array; readonly position: number },
): void {
  const sum = inHand.get(tar) ?? new RunningSum();
  inHand.set(tar, sum);
  sum.add(part.fd, part.bytes, part.position);
}

/** Does the job. */
export function runSumJob({ tar, fd, length, result }: SumJob): void {
  const digest = (inHand.get(tar) ?? new RunningSum()).end(fd, length);
  inHand.delete(tar);
  if (digest !== undefined) result.set(Buffer.from(digest, "latin1"));
}

/** The digest of all that a tar has, taken here. @throws what reading it throws */
export function sumHere(fd: number, length: number): string {
  const digester = new Digester();
  const place = Buffer.allocUnsafe(Math.min(readSize, length));
  for (let at = 0; at < length;) {
    const count = readSync(fd, place, 0, Math.min(place.length, length - at), at);
    if (count === 0) throw new Error("the tar is shorter than what was written");
    digester.update(place.subarray(0, count));
    at += count;
  }
  return digester.digest();
}
