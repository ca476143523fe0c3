import { expect, test } from "vitest";
import type { CacheItem } from "../../../../src/api/cache/cache-item.ts";
import {
  choosePruned,
  totalsOf,
  type SpaceLimits,
} from "../../../../src/api/cache/choose-pruned.ts";
import type { CacheSurvey } from "../../../../src/api/cache/survey-cache.ts";
import { chainIdOf, diffId, digestOf, type ChainId } from "../../../../src/core/index.ts";
import type { LayerUsage } from "../../../../src/local/index.ts";

const layers = new Map<ChainId, LayerUsage>();

/** Layers of 100 bytes, one on the other; those of images are needed. */
function chain(names: readonly string[], { needed = 0 } = {}): ChainId {
  let parent: ChainId | undefined;
  const diffIds = names.map((name) => diffId(digestOf(name)));
  for (const [index, layer] of diffIds.entries()) {
    const chainId = chainIdOf(diffIds.slice(0, index + 1));
    if (chainId === undefined) throw new Error("no chain");
    const parts = [{ id: chainId, size: 100, isNeeded: index < needed }];
    layers.set(chainId, { diffId: layer, parent, parts });
    parent = chainId;
  }
  if (parent === undefined) throw new Error("no layers");
  return parent;
}

/** A step whose records take 10 bytes, used at an hour of one day. */
function step(name: string, hour: number, result: ChainId): CacheItem {
  const isShared = layers.get(result)?.parts.some(({ isNeeded }) => isNeeded) === true;
  return {
    id: name,
    type: "regular",
    description: name,
    keys: [],
    parents: [],
    result,
    ...{ size: 110, shared: isShared ? 100 : 0, unique: isShared ? 10 : 110 },
    lastUsed: new Date(Date.UTC(2026, 0, 1, hour)).toISOString(),
    durable: true,
  };
}

// base(image) - one - two - three, and base - other. 4 own layers, 4 steps.
const items = [
  step("one", 9, chain(["base", "one"], { needed: 1 })),
  step("two", 9, chain(["base", "one", "two"], { needed: 1 })),
  step("three", 9, chain(["base", "one", "two", "three"], { needed: 1 })),
  step("other", 5, chain(["base", "other"], { needed: 1 })),
];
const survey: CacheSurvey = { items, layers };

function chosen(limits: SpaceLimits, free = 1_000_000): readonly string[] {
  const pruned = choosePruned({ survey, candidates: items, limits, free });
  return pruned.map(({ id }) => id);
}

test("without limits everything goes, what stands on others first", () => {
  expect(chosen({})).toEqual(["other", "three", "two", "one"]);
});

test("each layer counts once, and those of images are apart", () => {
  expect(totalsOf(survey)).toEqual({ shared: 100, private: 440, total: 540 });
  expect(totalsOf({ items: items.slice(0, 1), layers })).toEqual({
    shared: 100,
    private: 110,
    total: 210,
  });
});

test.each([
  [{ reserved: 440 }, []],
  [{ reserved: 439 }, ["other"]],
  [{ reserved: 330 }, ["other"]],
  [{ reserved: 219 }, ["other", "three", "two"]],
  [{ reserved: 0 }, ["other", "three", "two", "one"]],
  [{ maxUsed: 220 }, ["other", "three"]],
  [{ maxUsed: 220, reserved: 330 }, ["other"]],
  [{ minFree: 10 }, []],
])("%j", (limits, expected) => {
  expect(chosen(limits)).toEqual(expected);
});

test("room is made until enough of the disk is free, but never more than what may go", () => {
  expect(chosen({ minFree: 1000 }, 950)).toEqual(["other"]);
  expect(chosen({ minFree: 1000 }, 800)).toEqual(["other", "three"]);
  expect(chosen({ minFree: 1000, reserved: 440 }, 800)).toEqual([]);
  expect(chosen({ minFree: 1e9 }, 0)).toHaveLength(4);
});
