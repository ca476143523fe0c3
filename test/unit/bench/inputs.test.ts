import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { randomBytes, wordyText } from "../../../bench/inputs/random.ts";
import { writeBigFile, writeTree } from "../../../bench/inputs/tree.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsbuild-bench-inputs-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function digestOf(name: string, files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(folder, name, file)));
  return hash.digest("hex");
}

test("a tree is the same for the same seed, has its size, and gets new times", () => {
  const make = (name: string, seed: number) =>
    writeTree({ directory: join(folder, name), count: 100, bytes: 400e3, seed });
  const [one, two, other] = [make("one", 1), make("two", 1), make("other", 2)];
  expect(two.files).toEqual(one.files);
  expect(digestOf("two", two.files)).toBe(digestOf("one", one.files));
  expect(digestOf("other", other.files)).not.toBe(digestOf("one", one.files));
  const sizes = one.files.map((file) => statSync(join(folder, "one", file)).size);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(one.bytes);
  expect(Math.abs(one.bytes / 400e3 - 1)).toBeLessThan(0.25);
  expect(readdirSync(join(folder, "one/part-0"))).toHaveLength(3);

  const [file = ""] = one.files;
  const before = statSync(join(folder, "one", file)).mtimeMs;
  one.touch();
  expect(statSync(join(folder, "one", file)).mtimeMs).toBe(before + 1_000_000);
});

test("text compresses as text does, and random bytes not at all", () => {
  const text = gzipSync(wordyText(1 << 20, 1)).length / (1 << 20);
  expect(text).toBeGreaterThan(0.2);
  expect(text).toBeLessThan(0.6);
  expect(gzipSync(randomBytes(1 << 20, 1)).length).toBeGreaterThan(1 << 20);
});

test("a big file has no two equal pieces and exactly the size that was asked for", () => {
  const path = join(folder, "big");
  writeBigFile(path, (8 << 20) + 5);
  expect(statSync(path).size).toBe((8 << 20) + 5);
  const bytes = readFileSync(path);
  expect(bytes.subarray(0, 4)).not.toEqual(bytes.subarray(4 << 20, (4 << 20) + 4));
});
