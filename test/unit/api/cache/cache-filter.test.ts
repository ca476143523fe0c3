import { expect, test } from "vitest";
import { parseCacheFilters } from "../../../../src/api/cache/cache-filter.ts";
import type { CacheItem } from "../../../../src/api/cache/cache-item.ts";
import { digestOf } from "../../../../src/core/index.ts";

const now = new Date("2026-05-05T12:00:00Z");
const [key, other] = [digestOf("key"), digestOf("other")];

const item: CacheItem = {
  id: key,
  type: "regular",
  description: "RUN make all",
  keys: [{ key }, { key: other }],
  parents: [digestOf("parent")],
  ...{ size: 10, shared: 4, unique: 6 },
  lastUsed: "2026-05-05T09:00:00Z",
  durable: true,
};

function passes(...filters: readonly string[]): boolean {
  return parseCacheFilters(filters, now)(item);
}

test.each([
  [["until=2h"], true],
  [["until=3h"], true],
  [["until=3h1m"], false],
  [["unused-for=4h"], false],
  [[`id=${key}`], true],
  [[`id=${key.slice("sha256:".length, 20)}`], true],
  [[`id=${other.slice(0, 20)}`], true],
  [["id=ffffffff"], false],
  [["id!=ffffffff"], true],
  [[`id~=^sha256:`], true],
  [[`parents=${digestOf("parent").slice(7, 19)}`], true],
  [["type=regular"], true],
  [["type!=regular"], false],
  [["type~=^exec"], false],
  [["description=RUN make"], false],
  [["description=RUN make all"], true],
  [["description~=make"], true],
  [["shared"], true],
  [["private"], false],
  [["immutable"], true],
  [["mutable"], false],
  [[], true],
  [["shared", "until=2h"], true],
  [["shared", "until=5h"], false],
])("%j: %s", (filters, expected) => {
  expect(passes(...filters)).toBe(expected);
});

test("an empty layer on nothing passes as private", () => {
  expect(parseCacheFilters(["private"], now)({ ...item, shared: 0 })).toBe(true);
});

test("what nobody knows the last use of stays out of ages", () => {
  const { lastUsed: _lastUsed, ...unknown } = item;
  expect(parseCacheFilters(["until=0"], now)(unknown)).toBe(false);
});

test.each([
  "",
  "what=1",
  "until",
  "until!=3h",
  "until=yesterday",
  "id",
  "id=",
  "shared=1",
  "id~=(",
])("%j is refused", (filter) => {
  expect(() => parseCacheFilters([filter], now)).toThrow(
    expect.objectContaining({ code: "USAGE" }) as Error,
  );
});
