import { createCipheriv } from "node:crypto";

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that no compression makes smaller: the key stream of a cipher. */
export function randomBytes(size: number, seed: number): Buffer {
  const key = Buffer.alloc(32, seed & 0xff);
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16, (seed >>> 8) & 0xff));
  return cipher.update(Buffer.alloc(size));
}

/** Lines of words, which gzip makes about a third of: what source code and documentation are like. */
export function wordyText(size: number, seed: number): Buffer {
  const next = seededNumbers(seed);
  const words = Array.from({ length: 2000 }, () => word(next));
  const lines: string[] = [];
  for (let length = 0; length < size;) {
    const count = 3 + Math.floor(next() * 9);
    const chosen = Array.from({ length: count }, () => words[Math.floor(next() ** 2 * 2000)] ?? "");
    const line = `${chosen.join(" ")}\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join("")).subarray(0, size);
}

function word(next: () => number): string {
  const length = 2 + Math.floor(next() * 9);
  const letters = Array.from({ length }, () => 97 + Math.floor(next() * 26));
  return String.fromCharCode(...letters);
}
