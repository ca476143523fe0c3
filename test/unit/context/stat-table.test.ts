import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { decodeStatTable, StatTable } from "../../../src/context/stat-table.ts";

const bytesOf = (text: string): Buffer => createHash("sha256").update(text).digest();

function keyOf(number: number, version = 0) {
  const times = { mtimeNs: BigInt(version) - 5n, ctimeNs: BigInt(number) };
  return { path: `/context/${String(number)}`, size: 7n, inode: 2n ** 63n, device: 1n, ...times };
}

function tableOf(numbers: Iterable<number>, lastUsed: number, version?: number): StatTable {
  const table = new StatTable();
  for (const number of numbers) {
    const digest = bytesOf(`${String(number)} ${String(version)}`);
    table.set({ key: keyOf(number, version), digest, lastUsed });
  }
  return table;
}

const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, index) => start + index);

/** 1,024 records lie together. */
test.each([0, 1, 1023, 1024, 1025, 3000])(
  "a table of %d files is read as it was written",
  (count) => {
    const table = decodeStatTable(Buffer.concat(tableOf(range(0, count), 20).encode()));
    expect(table.size).toBe(count);
    for (const number of range(0, count))
      expect(table.find(keyOf(number), 20)).toEqual(bytesOf(`${String(number)} undefined`));
    expect(table.find(keyOf(count), 20)).toBeUndefined();
  },
);

test("what nobody asked for lately is left out, and what is nothing but a path", () => {
  const table = decodeStatTable(Buffer.concat(tableOf(range(0, 2500), 10).encode()));
  expect(table.since(10)).toBe(table);
  for (const number of range(0, 2000)) table.find(keyOf(number), 20);
  for (const number of range(2600, 5000)) table.paths.add(keyOf(number).path);
  const young = table.since(20);
  for (const kept of [young, decodeStatTable(Buffer.concat(young.encode()))]) {
    expect(kept.size).toBe(2000);
    expect(kept.find(keyOf(999), 20)).toEqual(bytesOf("999 undefined"));
    expect(kept.find(keyOf(2000), 20)).toBeUndefined();
  }
});

test("paths of which the table knows nothing do no harm, wherever they stand", () => {
  const table = decodeStatTable(Buffer.concat(tableOf(range(0, 1000), 20).encode()));
  for (const number of range(1000, 4000)) table.paths.add(keyOf(number).path);
  const digest = bytesOf("late");
  table.set({ key: keyOf(3500), digest, lastUsed: 20 });
  for (const each of [table, decodeStatTable(Buffer.concat(table.encode()))]) {
    expect(each.find(keyOf(999), 20)).toEqual(bytesOf("999 undefined"));
    for (const number of [1000, 1023, 1024, 2500, 3999])
      expect(each.find(keyOf(number), 20)).toBeUndefined();
    expect(
      each.find({ ...keyOf(2500), size: 0n, mtimeNs: 0n, ctimeNs: 0n, inode: 0n, device: 0n }, 20),
    ).toBeUndefined();
    expect(each.find(keyOf(3500), 20)).toEqual(digest);
  }
});

test("a table that was read takes more", () => {
  const table = decodeStatTable(Buffer.concat(tableOf(range(0, 1500), 20).encode()));
  for (const number of range(1500, 2100))
    table.set({
      key: keyOf(number),
      digest: bytesOf(`${String(number)} undefined`),
      lastUsed: 20,
    });
  const kept = decodeStatTable(Buffer.concat(table.encode()));
  for (const number of [0, 1023, 1499, 1500, 2047, 2048, 2099])
    expect(kept.find(keyOf(number), 20)).toEqual(bytesOf(`${String(number)} undefined`));
});
