import { expect, test } from "vitest";
import { diffKeys, type CacheKeyObject } from "../../../src/cache/index.ts";
import type { JsonValue } from "../../../src/core/index.ts";

const key = (
  fields: readonly (readonly [string, JsonValue])[],
  kind: CacheKeyObject["kind"] = "content",
): CacheKeyObject => ({
  version: 1,
  kind,
  fields: fields.map(([name, value]) => ({ name, value })),
});

test("equal keys have no difference, whatever the order inside a value", () => {
  expect(diffKeys(key([["a", { x: 1, y: 2 }]]), key([["a", { y: 2, x: 1 }]]))).toBeUndefined();
  expect(diffKeys(key([]), key([]))).toBeUndefined();
});

test("the first changed field is the reason", () => {
  const before = key([
    ["instruction", "RUN npm ci"],
    ["file:package-lock.json", "1"],
    ["file:x", "1"],
  ]);
  const after = key([
    ["instruction", "RUN npm ci"],
    ["file:package-lock.json", "2"],
    ["file:x", "2"],
  ]);
  expect(diffKeys(before, after)).toEqual({
    field: "file:package-lock.json",
    previous: "1",
    current: "2",
  });
});

test("a new field and a field that is gone", () => {
  expect(
    diffKeys(
      key([["a", 1]]),
      key([
        ["a", 1],
        ["b", null],
      ]),
    ),
  ).toEqual({ field: "b", current: null });
  expect(
    diffKeys(
      key([
        ["a", 1],
        ["b", 2],
      ]),
      key([["a", 1]]),
    ),
  ).toEqual({ field: "b", previous: 2 });
});

test("fields in another order, and keys of another kind", () => {
  expect(
    diffKeys(
      key([
        ["a", 1],
        ["b", 2],
      ]),
      key([
        ["b", 2],
        ["a", 1],
      ]),
    ),
  ).toEqual({
    field: "order",
    previous: ["a", "b"],
    current: ["b", "a"],
  });
  expect(diffKeys(key([], "definition"), key([]))).toEqual({
    field: "kind",
    previous: "definition",
    current: "content",
  });
});
