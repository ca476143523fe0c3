import fc from "fast-check";
import { expect, test } from "vitest";
import { PathIndex } from "../../../src/context/path-index.ts";
import { PlainFiles } from "../../../src/core/index.ts";

/** Any bytes but the one that ends a name. */
const names = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
});

test("paths are numbered in the order in which they come, and found again, also out of a file", () => {
  fc.assert(
    fc.property(fc.array(names, { maxLength: 200 }), fc.array(names), (paths, others) => {
      const wanted = [...new Set(paths)];
      const index = new PathIndex();
      for (const path of paths) expect(index.add(path)).toBe(wanted.indexOf(path));
      const again = new PathIndex(Buffer.concat(index.encode()), index.size);
      for (const each of [index, again]) {
        expect(each.size).toBe(wanted.length);
        for (const [number, path] of wanted.entries()) {
          expect(each.find(path)).toBe(number);
          expect(each.pathOf(number)).toBe(path);
        }
        for (const other of others)
          expect(each.find(other)).toBe(wanted.includes(other) ? wanted.indexOf(other) : undefined);
      }
      // What came out of a file can grow, too.
      expect(again.add("one more")).toBe(
        wanted.includes("one more") ? wanted.indexOf("one more") : wanted.length,
      );
      for (const [number, path] of wanted.entries()) expect(again.pathOf(number)).toBe(path);
    }),
  );
});

test("who reads many paths gets them all, also those that are added meanwhile", () => {
  fc.assert(
    fc.property(fc.array(names), fc.array(names), fc.array(fc.nat()), (known, added, order) => {
      const first = new PathIndex();
      for (const path of known) first.add(path);
      const index = new PathIndex(Buffer.concat(first.encode()), first.size);
      const read = index.reader();
      for (const path of ["n".repeat(4000), ...added]) {
        index.add(path);
        for (const number of [index.size - 1, ...order.map((each) => each % index.size)]) {
          const { path: found, isPlain } = read(number);
          expect(found).toBe(index.pathOf(number));
          if (isPlain) expect(JSON.stringify(found)).toBe(`"${found}"`);
        }
      }
    }),
  );
});

test("many paths are found among many", () => {
  const index = new PathIndex();
  const pathOf = (number: number): string =>
    `/context/d${String(number % 97)}/file-${String(number)}`;
  for (let number = 0; number < 50_000; number++) index.add(pathOf(number));
  // A few that end a page early, and what came out of a file with one more behind it.
  const long = (number: number): string => "n".repeat(4095 - (number % 2000));
  for (let number = 0; number < 200; number++) index.add(long(number));
  const again = new PathIndex(Buffer.concat(index.encode()), index.size);
  again.add("one more");
  const third = new PathIndex(Buffer.concat(again.encode()), again.size);
  for (const each of [index, again, third]) {
    for (let number = 0; number < 50_000; number += 7) {
      expect(each.find(pathOf(number))).toBe(number);
      expect(each.pathOf(number)).toBe(pathOf(number));
    }
    const read = each.reader();
    for (let number = 0; number < each.size; number++)
      if (read(number).path !== each.pathOf(number))
        expect(read(number).path).toBe(each.pathOf(number));
    expect(each.find(pathOf(50_000))).toBeUndefined();
    expect(each.pathOf(50_199)).toBe(long(199));
  }
  expect(third.find("one more")).toBe(50_200);
});

test("files of a directory have the numbers of their paths", () => {
  const index = new PathIndex();
  const paths = ["/d/b", "/d/\u{ff}", "/d/a", "/other", "/d/name of some length"];
  const filesIn = (directory: string, names: readonly string[]): PlainFiles => {
    const files = new PlainFiles(Buffer.from(directory, "latin1"), names.length);
    files.names.push(...names.map((name) => Buffer.from(name, "latin1")));
    return files;
  };
  for (const path of paths.slice(0, 2)) index.add(path);
  const found = filesIn("/d/", ["a", "b", "name of some length", "\u{ff}"]);
  expect([...index.addAll(found)]).toEqual([2, 0, 3, 1]);
  expect(index.addAll(found)).toBe(found.numbers);
  expect([...index.addAll(filesIn("/", ["d", "other"]))]).toEqual([4, 5]);
  expect(index.find("/d/name of some length")).toBe(3);
  // Many directories, some with several names, and more than the first table has places for.
  const many = Array.from({ length: 300 }, (_, number) => `/many/${"x".repeat(number % 9)}/`);
  for (const [number, directory] of many.entries()) {
    const [one, two] = index.addAll(filesIn(directory, [`${String(number)}-1`, "same"]));
    expect(index.pathOf(one ?? -1)).toBe(`${directory}${String(number)}-1`);
    expect(index.find(`${directory}same`)).toBe(two);
  }
  const other = new PathIndex();
  expect([...other.addAll(found)]).toEqual([0, 1, 2, 3]);
  const again = new PathIndex(Buffer.concat(index.encode()), index.size);
  expect([...again.addAll(filesIn("/d/", ["\u{ff}", "b"]))]).toEqual([1, 0]);
});
