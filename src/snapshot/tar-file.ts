import { closeSync, ftruncateSync, openSync, read as readCallback, writeSync } from "node:fs";
import { promisify } from "node:util";
import { addToSum } from "./tar-sum.ts";

const read = promisify(readCallback);

/** Zeros of this length are not written, as in files (`SparseFileWriter`). */
const pieceSize = 64 * 1024;
const zeros = Buffer.alloc(pieceSize);
const readSize = 1024 * 1024;

/** A tar that is written from its beginning to its end, at once: each call takes as long as copying the bytes. */
export class TarFile {
  readonly path: string;
  readonly #fd: number;
  #length = 0;
  #isOpen = true;

  /** @throws EEXIST of Node */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, "wx+", 0o600);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Bytes that were claimed. */
  get length(): number {
    return this.#length;
  }

  write(bytes: Uint8Array): void {
    writeTarPart(this.#fd, bytes, this.claim(bytes.length));
  }

  /** The place of the next `length` bytes, which somebody else is to put there (`writeTarPart`). */
  claim(length: number): number {
    const position = this.#length;
    this.#length += length;
    return position;
  }

  /** Gives the file its length: zeros at its end are not there before. */
  extend(): void {
    ftruncateSync(this.#fd, this.#length);
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}

/** Puts a part of a tar at its place, but for zeros: in a new file they are there. */
export function writeTarPart(fd: number, bytes: Uint8Array, position: number): void {
  let start = 0;
  for (let at = 0; at + pieceSize <= bytes.length; at += pieceSize) {
    // Other content is told from zeros by its first bytes, at no cost.
    if (!zeros.equals(bytes.subarray(at, at + pieceSize))) continue;
    writeAt(fd, bytes.subarray(start, at), position + start);
    start = at + pieceSize;
  }
  writeAt(fd, bytes.subarray(start), position + start);
}

function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length;)
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
}

/** Asks another thread to write a part of a tar. */
export interface PutJob {
  readonly kind: "put";
  /** Open until the job is over. */
  readonly fd: number;
  /** In shared memory. */
  readonly bytes: Uint8Array;
  readonly position: number;
  /** Number of the tar, which is one in the whole process: its digest is taken on the way (`SumJob`). */
  readonly tar: number;
  /** In shared memory; its first one is 1 once all is written. */
  readonly done: Int32Array;
}

/** Does it. */
export function runPutJob({ fd, bytes, position, tar, done }: PutJob): void {
  try {
    writeTarPart(fd, bytes, position);
    Atomics.store(done, 0, 1);
  } catch {
    // Whoever posted the job writes it once more, and learns what is wrong.
  }
  addToSum(tar, { fd, bytes, position });
}

/** The bytes of a tar. Without `isPassing` each part is the reader's; with it, only until the next one is asked for. */
export async function* readTarFile(
  path: string,
  options: {
    readonly isPassing?: boolean | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openSync(path, "r");
  try {
    const make = (): Buffer => Buffer.allocUnsafeSlow(readSize);
    // Two places in turn: the next part is read while this one is at work.
    const places = options.isPassing === true ? ([make(), make()] as const) : undefined;
    const readNext = async (turn: number): Promise<Uint8Array> => {
      const place = places?.[turn % 2 === 0 ? 0 : 1] ?? make();
      const { bytesRead } = await read(fd, place, 0, readSize, null);
      return place.subarray(0, bytesRead);
    };
    let next = readNext(0);
    try {
      for (let turn = 1; ; turn++) {
        const part = await next;
        options.signal?.throwIfAborted();
        if (part.length === 0) return;
        next = readNext(turn);
        yield part;
      }
    } finally {
      await Promise.allSettled([next]);
    }
  } finally {
    closeSync(fd);
  }
}
