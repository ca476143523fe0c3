import { createCipheriv } from "node:crypto";

/** The same numbers from 0 up to 1 for the same seed (mulberry32). */
export function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Bytes without any pattern, the same for the same seed: the key stream of a cipher. */
export function pseudoRandomBytes(size: number, seed = 1): Buffer {
  const cipher = createCipheriv("aes-256-ctr", Buffer.alloc(32, seed), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(size));
}
