import { expect, test } from "vitest";
import { compareKeys } from "../../../../src/build/explain/compare-keys.ts";
import type { CacheKeyObject } from "../../../../src/cache/index.ts";
import type { JsonValue } from "../../../../src/core/index.ts";

function key(...fields: readonly (readonly [string, JsonValue])[]): CacheKeyObject {
  return {
    version: 1,
    kind: "definition",
    fields: fields.map(([name, value]) => ({ name, value })),
  };
}

test("fields that differ stand in the order of the key as it is now", async () => {
  const before = key(["instruction", "a"], ["env.A", "1"], ["env.B", "1"], ["user", ""]);
  const now = key(["instruction", "a"], ["env.B", "2"], ["env.C", "3"], ["user", "x"]);
  expect((await compareKeys(before, now)).fields).toEqual([
    { type: "field", field: "env.B", previous: "1", current: "2" },
    { type: "field", field: "env.C", current: "3" },
    { type: "field", field: "user", previous: "", current: "x" },
    { type: "field", field: "env.A", previous: "1" },
  ]);
});

test("what is new comes before what is gone", async () => {
  const [before, now] = [key(["a", 1]), key(["b", 2])];
  const gone = { type: "field", field: "a", previous: 1 };
  expect((await compareKeys(before, now)).fields).toEqual([
    { type: "field", field: "b", current: 2 },
    gone,
  ]);
  expect((await compareKeys(before, key())).fields).toEqual([gone]);
});

test("values are equal whatever the order of their members", async () => {
  const { fields } = await compareKeys(key(["a", { x: 1, y: [2] }]), key(["a", { y: [2], x: 1 }]));
  expect(fields).toEqual([]);
});

test("what stands for inputs is listed apart, and the digest of all files is no field", async () => {
  const before = key(["parent", "p"], ["files.0", "x"], ["from.1", "f"]);
  const now = key(["parent", "q"], ["files.0", "y"], ["from.1", "f"], ["from.2", "g"]);
  expect(await compareKeys(before, now)).toEqual({
    fields: [],
    files: new Map(),
    inputs: ["parent", "from.2"],
  });
});

test("others have their turns while two keys of many files are compared", async () => {
  const files = Array.from({ length: 50_000 }, (_, at): readonly [string, JsonValue] => [
    `file:${String(at).padStart(6, "0")}`,
    { source: 0, digest: "d", mode: 0o644 },
  ]);
  let [turns, isDone] = [0, false];
  const count = (): void => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const { files: changed } = await compareKeys(key(...files), key(...files));
  isDone = true;
  expect(changed.size).toBe(0);
  expect(turns).toBeGreaterThanOrEqual(10);
});
