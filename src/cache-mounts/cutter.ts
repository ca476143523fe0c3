import { createHash } from "node:crypto";

/** Sizes of chunks in bytes. A change of these, or of the table, makes every chunk another one. */
export const chunkSizes = { least: 64 * 1024, usual: 256 * 1024, most: 1024 * 1024 } as const;

/** A random number for each byte; the same ones on every machine. */
const gear = Int32Array.from({ length: 256 }, (_, byte) =>
  createHash("sha256")
    .update(`gear ${String(byte)}`)
    .digest()
    .readInt32LE(0),
);

/**
 * Bits that must be zero for a cut. Before the usual size two more than log2 of it and behind it two fewer, so that sizes
 * lie closer together. They are the upper ones, on which the last 32 bytes have their say.
 */
const strictMask = 0xfffff000 | 0;
const easyMask = 0xffff0000 | 0;

/**
 * Cuts a stream where its content says so: a rolling hash of the last 32 bytes. After a change, an insertion or a removal the
 * cuts are soon at the same content again, so that only the chunks around it are new.
 */
export class ContentCutter {
  readonly #chunk = Buffer.allocUnsafeSlow(chunkSizes.most);
  #length = 0;
  #hash = 0;

  /** The chunks that end in `bytes`. They are the caller's, and `bytes` may be used again afterwards. */
  *push(bytes: Buffer): Generator<Buffer, void, undefined> {
    for (let taken = 0; taken < bytes.length;) {
      const room = chunkSizes.most - this.#length;
      const added = bytes.copy(this.#chunk, this.#length, taken, taken + room);
      const before = this.#length;
      const cut = this.#findCut(before, before + added);
      if (cut === undefined) {
        this.#length += added;
        taken += added;
        continue;
      }
      taken += cut - before;
      yield this.#take(cut);
    }
  }

  /** What is behind the last cut. */
  *finish(): Generator<Buffer, void, undefined> {
    if (this.#length > 0) yield this.#take(this.#length);
  }

  /** Where the chunk ends; undefined when it goes on behind `end`. */
  #findCut(from: number, end: number): number | undefined {
    const { least, usual, most } = chunkSizes;
    const middle = Math.min(end, usual);
    let at = Math.max(from, least);
    let hash = this.#hash;
    const chunk = this.#chunk;
    for (; at < middle; at++) {
      hash = ((hash << 1) + (gear[chunk[at] ?? 0] ?? 0)) | 0;
      if ((hash & strictMask) === 0) return at + 1;
    }
    for (; at < end; at++) {
      hash = ((hash << 1) + (gear[chunk[at] ?? 0] ?? 0)) | 0;
      if ((hash & easyMask) === 0) return at + 1;
    }
    this.#hash = hash;
    return end === most ? most : undefined;
  }

  #take(length: number): Buffer {
    const taken = Buffer.from(this.#chunk.subarray(0, length));
    this.#length = 0;
    this.#hash = 0;
    return taken;
  }
}
