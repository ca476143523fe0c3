import { expect, test } from "vitest";
import { chunkSizes, ContentCutter } from "../../../src/cache-mounts/cutter.ts";
import { digestOf } from "../../../src/core/index.ts";
import { pseudoRandom } from "../../support/random.ts";

const mebibyte = 1024 * 1024;

function randomBytes(size: number, seed: number): Buffer {
  const random = pseudoRandom(seed);
  return Buffer.from(Uint8Array.from({ length: size }, () => Math.floor(random() * 256)));
}

function cut(bytes: Buffer, pieceSize = bytes.length): Buffer[] {
  const cutter = new ContentCutter();
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceSize) {
    chunks.push(...cutter.push(bytes.subarray(at, at + pieceSize)));
  }
  return [...chunks, ...cutter.finish()];
}

const content = randomBytes(8 * mebibyte, 1);
const digests = (chunks: readonly Buffer[]): string[] => chunks.map((chunk) => digestOf(chunk));

test("chunks are the content, and of the sizes that are meant", () => {
  const chunks = cut(content);
  expect(Buffer.concat(chunks).equals(content)).toBe(true);
  const sizes = chunks.map(({ length }) => length);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(chunkSizes.most);
  expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(chunkSizes.least);
  const mean = content.length / chunks.length;
  expect(mean).toBeGreaterThan(chunkSizes.usual / 2);
  expect(mean).toBeLessThan(chunkSizes.usual * 2);
});

test("it does not matter in which pieces the content comes", () => {
  const whole = digests(cut(content));
  for (const size of [1000, 65_537, 3 * mebibyte])
    expect(digests(cut(content, size))).toEqual(whole);
});

test("content without any variety is cut at the largest size", () => {
  const sizes = cut(Buffer.alloc(2.5 * mebibyte)).map(({ length }) => length);
  expect(sizes).toEqual([mebibyte, mebibyte, mebibyte / 2]);
});

test("nothing is no chunk", () => {
  expect(cut(Buffer.alloc(0), 1)).toEqual([]);
});

test.each([
  [
    "inserted",
    Buffer.concat([content.subarray(0, 3e6), randomBytes(1000, 2), content.subarray(3e6)]),
  ],
  ["removed", Buffer.concat([content.subarray(0, 3e6), content.subarray(3e6 + 1000)])],
  ["put in front", Buffer.concat([Buffer.from("x"), content])],
])("where something is %s, only the chunks around it are new", (_, changed) => {
  const known = new Set(digests(cut(content)));
  const fresh = digests(cut(changed)).filter((digest) => !known.has(digest));
  expect(fresh.length).toBeGreaterThan(0);
  expect(fresh.length).toBeLessThanOrEqual(4);
});

test("cuts are where they were in every version before: else no chunk of a cache would be found again", () => {
  expect(digestOf(digests(cut(content)).join())).toMatchInlineSnapshot(
    `"sha256:f3e3c9b04da4e75e1f8fa45c9eae1ccf71def2f85b9dd340b52b12381cf906a0"`,
  );
});
