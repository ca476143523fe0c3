import { expect, test } from "vitest";
import { XxHash64 } from "../../../src/layer/xxhash64.ts";
import { pseudoRandomBytes } from "../../support/random.ts";

function hashOf(...parts: readonly Uint8Array[]): string {
  const hash = new XxHash64();
  for (const part of parts) hash.update(part);
  return hash.digest().toString(16).padStart(16, "0");
}

// Made by the reference program: xxhsum -H64.
test.each([
  ["", "ef46db3751d8e999"],
  ["a", "d24ec4f1a98c6e5b"],
  ["abc", "44bc2cf5ad770999"],
  ["Nobody inspects the spammish repetition", "fbcea83c8a378bf1"],
])("the hash of %j", (text, expected) => {
  expect(hashOf(Buffer.from(text))).toBe(expected);
});

test("parts of any length give the hash of the whole", () => {
  const bytes = pseudoRandomBytes(10_000);
  const whole = hashOf(bytes);
  for (const size of [1, 7, 31, 32, 33, 64, 1000]) {
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    expect(hashOf(...parts), String(size)).toBe(whole);
  }
});

test("a digest in between changes nothing", () => {
  const hash = new XxHash64();
  hash.update(Buffer.from("ab"));
  hash.digest();
  hash.update(Buffer.from("c"));
  expect(hash.digest().toString(16)).toBe("44bc2cf5ad770999");
  expect(hash.size).toBe(3);
});
