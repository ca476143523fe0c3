import { closeSync, readSync } from "node:fs";
import { openUnseen } from "../../core/index.ts";
import { contentPlaceSize, LayerTarDigester } from "./tar-digester.ts";

/** Asks another thread to put a part of a tar into its hash: headers, and files whose contents lie between them. */
export interface HashJob {
  readonly kind: "hash";
  /** 0 for the first of a tar; a thread has one tar in hand. */
  readonly part: number;
  readonly isLast: boolean;
  readonly headers: Uint8Array;
  /** Absolute, one character a byte, separated by NUL. */
  readonly paths: string;
  /** For each file: how many bytes of the headers come before its content, and its size. */
  readonly places: Float64Array;
  readonly results: HashResults;
}

/** In shared memory. */
export interface HashResults {
  /** At `hashedAt` how many parts are in the hash, at `stopAt` 1 when nobody wants it any more. */
  readonly state: Int32Array;
  /** Of the whole tar, once its last part is in it. */
  readonly size: Float64Array;
  /** As text. */
  readonly digest: Uint8Array;
}

export const hashedAt = 0;
export const stopAt = 1;

/** In the thread. */
let tarInHand: LayerTarDigester | undefined;

/** Does it; on the first file that is not as it was announced it stops, and this part and those behind it stay undone. */
export function runHashJob(job: HashJob): void {
  const { part, results } = job;
  const tar = part === 0 ? new LayerTarDigester() : tarInHand;
  tarInHand = tar;
  if (tar === undefined || Atomics.load(results.state, hashedAt) !== part) return;
  try {
    if (!addPart(tar, job)) return;
    if (job.isLast) {
      const { digest, size } = tar.finish();
      results.digest.set(Buffer.from(digest, "latin1"));
      results.size[0] = size;
    }
    Atomics.store(results.state, hashedAt, part + 1);
  } catch {
    // Whoever posted the job goes through the layer once more, and learns what is wrong.
  }
}

function addPart(
  tar: LayerTarDigester,
  { headers, paths, places, results: { state } }: HashJob,
): boolean {
  let at = 0;
  const names = places.length === 0 ? [] : paths.split("\0");
  for (let index = 0; index < names.length; index++) {
    const path = Buffer.from(names[index] ?? "", "latin1");
    const end = places[2 * index] ?? 0;
    const size = places[2 * index + 1] ?? 0;
    tar.content(headers.subarray(at, end));
    at = end;
    if (!addFile(tar, { path, size, state })) return false;
    tar.pad(size);
  }
  tar.content(headers.subarray(at));
  return true;
}

/** false when the file has another size, or nobody wants it any more. */
function addFile(
  tar: LayerTarDigester,
  file: { readonly path: Buffer; readonly size: number; readonly state: Int32Array },
): boolean {
  const { path, size, state } = file;
  const fd = openUnseen(path);
  try {
    for (let left = size; left > 0;) {
      if (Atomics.load(state, stopAt) === 1) return false;
      const place = tar.reserve(Math.min(left, contentPlaceSize));
      if (!fill(fd, place)) return false;
      left -= place.length;
    }
    return size <= contentPlaceSize || readSync(fd, oneByte) === 0;
  } finally {
    closeSync(fd);
  }
}

const oneByte = Buffer.alloc(1);

function fill(fd: number, place: Buffer): boolean {
  for (let length = 0; length < place.length;) {
    const count = readSync(fd, place, length, place.length - length, null);
    if (count === 0) return false;
    length += count;
  }
  return true;
}
