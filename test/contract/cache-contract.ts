import { describe, expect, test } from "vitest";
import type { Cache, CacheKeyObject, CacheRecord } from "../../src/cache/index.ts";
import { chainIdOf, diffId, digestOf, digestOfJson, type Digest } from "../../src/core/index.ts";
import { collect } from "../support/collect.ts";

/** A key with one field, so that different values are different keys. */
export function cacheKey(value: string): CacheKeyObject {
  return { version: 1, kind: "content", fields: [{ name: "instruction", value }] };
}

/** What a vertex with these layers produced. */
export function cacheContent(
  ...layers: readonly string[]
): Omit<CacheRecord, "version" | "bootId" | "durable"> {
  const diffIds = layers.map((layer) => diffId(digestOf(layer)));
  return {
    diffIds,
    chainId: chainIdOf(diffIds),
    created: "2026-01-02T03:04:05.000Z",
    durationMs: 1500,
  };
}

/** A key object with its fields read. */
async function explained(cache: Cache, key: Digest) {
  const object = await cache.explain(key);
  return object && { ...object, fields: Array.from(object.fields) };
}

/** What every cache promises. `open` gives an empty one. */
export function testCache(name: string, open: () => Promise<Cache>): void {
  describe(`cache: ${name}`, () => {
    const one = cacheKey("RUN one");
    const key = digestOfJson(one);

    test("an unknown key is a miss", async () => {
      const cache = await open();
      expect(await cache.lookup(key)).toBeUndefined();
      expect(await cache.explain(key)).toBeUndefined();
      expect(await collect(cache.list())).toEqual([]);
    });

    test("a stored record is found with its whole chain and explained by its key object", async () => {
      const cache = await open();
      await cache.store(key, one, cacheContent("base", "one"));
      expect(await cache.lookup(key)).toMatchObject({ version: 1, ...cacheContent("base", "one") });
      expect(await explained(cache, key)).toEqual(one);
    });

    test.each([999, 1000, 1001, 2500])("a key object of %i fields comes back", async (count) => {
      const cache = await open();
      const fields = Array.from({ length: count }, (_, index) => ({
        name: `file:${String(index)} [] "é"`,
        value: { source: 0, mode: index },
      }));
      await cache.store(key, { ...one, fields }, cacheContent("base"));
      expect(await explained(cache, key)).toEqual({ ...one, fields });
    });

    test("whoever peeks finds the same", async () => {
      const cache = await open();
      expect(await cache.peek(key)).toBeUndefined();
      await cache.store(key, one, cacheContent("base", "one"));
      expect(await cache.peek(key)).toEqual(await cache.lookup(key));
      await cache.remove(key);
      expect(await cache.peek(key)).toBeUndefined();
    });

    test("it is empty until something is stored, and when all is removed", async () => {
      const cache = await open();
      expect(await cache.isEmpty()).toBe(true);
      await cache.store(key, one, cacheContent("base", "one"));
      expect(await cache.isEmpty()).toBe(false);
      await cache.remove(key);
      expect(await cache.isEmpty()).toBe(true);
    });

    test("a result without layers is a record too", async () => {
      const cache = await open();
      await cache.store(key, one, cacheContent());
      expect(await cache.lookup(key)).toMatchObject({ diffIds: [], durationMs: 1500 });
      expect((await cache.lookup(key))?.chainId).toBeUndefined();
    });

    test("storing a key again replaces its record; other keys stay", async () => {
      const cache = await open();
      const two = cacheKey("RUN two");
      await cache.store(key, one, cacheContent("a"));
      await cache.store(digestOfJson(two), two, cacheContent("b"));
      await cache.store(key, one, cacheContent("c"));
      expect(await cache.lookup(key)).toMatchObject(cacheContent("c"));
      expect(await cache.lookup(digestOfJson(two))).toMatchObject(cacheContent("b"));
    });

    test("the list has every record once, sorted by key, with a size and a last use", async () => {
      const cache = await open();
      const keys = ["RUN one", "RUN two", "RUN three"].map(cacheKey);
      for (const object of [...keys, one])
        await cache.store(digestOfJson(object), object, cacheContent("a"));
      const entries = await collect(cache.list());
      expect(entries.map((entry) => entry.key)).toEqual(keys.map(digestOfJson).sort());
      for (const { record, size, lastUsed } of entries) {
        expect(record).toMatchObject(cacheContent("a"));
        expect(size).toBeGreaterThan(0);
        expect(Math.abs(lastUsed.getTime() - Date.now())).toBeLessThan(60_000);
      }
    });

    test("a removed record is a miss, and removing is idempotent", async () => {
      const cache = await open();
      await cache.store(key, one, cacheContent("a"));
      await cache.remove(key);
      await cache.remove(key);
      expect(await cache.lookup(key)).toBeUndefined();
      expect(await cache.explain(key)).toBeUndefined();
      expect(await collect(cache.list())).toEqual([]);
    });

    test("stores and lookups at the same time see whole records", async () => {
      const cache = await open();
      const contents = ["a", "b", "c", "d"].map((layer) => cacheContent(layer));
      const found = await Promise.all(
        contents.map(async (content) => {
          await cache.store(key, one, content);
          return cache.lookup(key);
        }),
      );
      for (const record of found) {
        const { diffIds, chainId } = record ?? {};
        expect(contents).toContainEqual(expect.objectContaining({ diffIds, chainId }));
      }
    });
  });
}
