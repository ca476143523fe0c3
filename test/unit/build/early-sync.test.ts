import { expect, test } from "vitest";
import { EarlySync } from "../../../src/build/early-sync.ts";

const mebibyte = 1024 * 1024;

function counted() {
  let begun = 0;
  const sync = new EarlySync({
    beginSync: () => {
      begun += 1;
    },
  });
  return { sync, begun: () => begun };
}

test("the disk is told every 32 MiB, and of what is left at the end", () => {
  const { sync, begun } = counted();
  for (let written = 0; written < 64; written += 1) sync.wrote(mebibyte);
  expect(begun()).toBe(2);
  sync.wrote(mebibyte);
  sync.end();
  expect(begun()).toBe(3);
  sync.end();
  expect(begun()).toBe(3);
});

test("many empty files count, and a few do not", () => {
  const few = counted();
  for (let file = 0; file < 100; file++) few.sync.wrote(0);
  few.sync.end();
  expect(few.begun()).toBe(0);
  const many = counted();
  for (let file = 0; file < 10_000; file++) many.sync.wrote(0);
  expect(many.begun()).toBe(1);
});
