import { canEncode, deflateBlock } from "./encoder.ts";

/** Asks another thread to compress a block. Everything lies in shared memory. */
export interface DeflateJob {
  readonly kind: "deflate";
  /** As for `deflateBlock`. */
  readonly bytes: Uint8Array;
  readonly before: number;
  /** At least `longestOutput` bytes. */
  readonly output: Uint8Array;
  /** How many bytes it has become; 0 as long as it is not done. */
  readonly length: Int32Array;
}

/** Does it, or leaves it undone where there is no room for one more encoder. */
export function runDeflateJob({ bytes, before, output, length }: DeflateJob): void {
  if (!canEncode()) return;
  const compressed = deflateBlock({ bytes, before });
  output.set(compressed);
  Atomics.store(length, 0, compressed.length);
}
