import { expect, test } from "vitest";
import { mergeContents, maxRecords } from "../../../../src/cache/remote/merge.ts";
import { serializeDocument } from "../../../../src/cache/remote/document.ts";
import type { CacheContents, RemoteRecord } from "../../../../src/cache/index.ts";
import { layerCalled, recordOf, stackOf } from "../../../support/cache-records.ts";

const now = new Date("2026-11-21T12:00:00Z");

function contentsOf(...records: readonly RemoteRecord[]): CacheContents {
  return { records, layers: new Map() };
}

test("what both know is there once, and the other's stays beside one's own", () => {
  const shared = recordOf("shared", stackOf("base", "one"));
  const mine = recordOf("mine", stackOf("base", "one", "two"));
  const theirs = recordOf("theirs", stackOf("base", "three"));
  const merged = mergeContents(contentsOf(shared, mine), contentsOf(theirs, shared), now);
  expect(new Set(merged.records)).toEqual(new Set([shared, mine, theirs]));
});

test("nothing new gives the same document, whatever the steps took this time", () => {
  const before = contentsOf(recordOf("a", stackOf("base", "one"), { used: "2026-11-21" }));
  const again = contentsOf(
    recordOf("a", stackOf("base", "one"), { used: "2026-11-21", durationMs: 99 }),
  );
  const merged = mergeContents(again, before, now);
  expect(serializeDocument(merged).equals(serializeDocument(before))).toBe(true);
});

test("what is of use today says so", () => {
  const before = contentsOf(recordOf("a", stackOf("base", "one"), { used: "2026-11-19" }));
  const today = contentsOf(recordOf("a", stackOf("base", "one"), { used: "2026-11-21" }));
  expect(mergeContents(today, before, now).records).toMatchObject([{ used: "2026-11-21" }]);
});

test("records of others go when they have been of no use for two weeks", () => {
  const young = recordOf("young", stackOf("base", "one"), { used: "2026-11-07" });
  const old = recordOf("old", stackOf("base", "two"), { used: "2026-11-06" });
  expect(mergeContents(contentsOf(), contentsOf(young, old), now).records).toEqual([young]);
});

test("a key has at most four states: one's own and the youngest", () => {
  const others = [1, 2, 3, 4, 5].map((day) =>
    recordOf("key", stackOf("base", `other ${String(day)}`), { used: `2026-11-1${String(day)}` }),
  );
  const mine = recordOf("key", stackOf("base", "mine"));
  const { records } = mergeContents(contentsOf(mine), contentsOf(...others), now);
  expect(records.map(({ used }) => used).sort()).toEqual([
    "2026-11-13",
    "2026-11-14",
    "2026-11-15",
    "2026-11-20",
  ]);
});

test("more of them where records of other steps stand on these", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const common = names.map((name) => recordOf("common", stackOf("base", name)));
  const own = names.map((name) => recordOf(`own ${name}`, stackOf("base", name, `own ${name}`)));
  const before = contentsOf(...common, ...own);
  expect(new Set(mergeContents(contentsOf(), before, now).records)).toEqual(
    new Set(before.records),
  );
});

test("the oldest go where there are too many", () => {
  const state = stackOf("base", "one");
  const others = Array.from({ length: maxRecords + 5 }, (_, index) =>
    recordOf(String(index), state, { used: index < 5 ? "2026-11-10" : "2026-11-20" }),
  );
  const { records } = mergeContents(contentsOf(), contentsOf(...others), now);
  expect(records).toHaveLength(maxRecords);
  expect(records.some(({ used }) => used === "2026-11-10")).toBe(false);
});

test("layers of both are kept, and one's own form of a layer counts", () => {
  const [one, two] = [layerCalled("one"), layerCalled("two")];
  const other = { ...one.blob, mediaType: "application/vnd.oci.image.layer.v1.tar+zstd" };
  const merged = mergeContents(
    { records: [], layers: new Map([[one.diffId, one.blob]]) },
    {
      records: [],
      layers: new Map([
        [one.diffId, other],
        [two.diffId, two.blob],
      ]),
    },
    now,
  );
  expect(merged.layers.get(one.diffId)).toBe(one.blob);
  expect(merged.layers.get(two.diffId)).toBe(two.blob);
});
