import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import {
  diffIdsOf,
  readStandingCache,
  writeCache,
  type CachePlace,
  type RemoteRecord,
  type StandingCache,
  type WriteCacheRequest,
  type WrittenCache,
} from "../../src/cache/index.ts";
import { digestOf, mediaTypes, type DiffId } from "../../src/core/index.ts";
import { serializeManifest, type CopyProgress, type Descriptor } from "../../src/image/index.ts";
import { layerCalled, recordOf, stackOf } from "../support/cache-records.ts";

/** Opens the place under test as one more builder would; the same place each time. */
export type OpenPlace = () => Promise<CachePlace>;

const now = new Date("2026-11-21T12:00:00Z");
const form = { isImageManifest: true, dockerTypes: false };

/** What every place promises that caches are kept in. */
export function describeCachePlace(label: string, open: () => Promise<OpenPlace>): void {
  describe(`cache place: ${label}`, () => {
    test("has no cache before one is written", async () => {
      const place = await (await open())();
      expect(await place.resolve(place.name)).toBeUndefined();
    });

    test("gives back records and layers, byte for byte", async () => {
      const again = await open();
      await write(again, { builder: builderOf("one", "two") });
      const { standing, place } = await read(again);
      expect(namesOf(standing)).toEqual(["one", "two"]);
      for (const name of ["one", "two"]) {
        const { diffId, bytes } = layerCalled(name);
        const blob = standing.contents.layers.get(diffId);
        expect(blob && (await bytesOf(place, blob))).toEqual(bytes);
      }
      // That of the base image is had from its own registry.
      expect(standing.contents.layers.has(layerCalled("base").diffId)).toBe(false);
    });

    test("an unchanged cache is not written again, and nothing is sent", async () => {
      const again = await open();
      const first = await write(again, { builder: builderOf("one", "two") });
      const seen: CopyProgress[] = [];
      const second = await write(again, {
        builder: builderOf("one", "two"),
        onProgress: (progress) => seen.push(progress),
      });
      expect(second).toEqual({ ...first, isChanged: false, copied: { count: 0, bytes: 0 } });
      expect(seen).toEqual([]);
    });

    test("only layers that are not there are asked for and sent", async () => {
      const again = await open();
      await write(again, { builder: builderOf("one", "two") });
      const builder = builderOf("one", "two", "three");
      const { copied } = await write(again, { builder });
      expect(builder.asked).toEqual([diffIdOf("base"), diffIdOf("three")].sort());
      // The layer, the config document and the manifest.
      expect(copied.count).toBe(3);
    });

    test("keeps what other builders wrote beside one's own", async () => {
      const again = await open();
      await write(again, { builder: builderOf("one", "two") });
      await write(again, { builder: builderOf("one", "other") });
      expect(namesOf((await read(again)).standing)).toEqual(["one", "other", "two"]);
    });

    test("begins anew when told so", async () => {
      const again = await open();
      await write(again, { builder: builderOf("one", "two") });
      await write(again, { builder: builderOf("one", "other"), isNew: true });
      const { standing, place } = await read(again);
      expect(namesOf(standing)).toEqual(["one", "other"]);
      const blob = standing.contents.layers.get(diffIdOf("one"));
      expect(blob && (await place.has(blob))).toBe(true);
    });

    test("an update between looking and writing is seen, and both stay", async () => {
      const again = await open();
      await write(again, { builder: builderOf("one") });
      let isFirst = true;
      await write(again, {
        builder: {
          ...builderOf("one", "two"),
          // After the look, and before the name is given.
          beforeExport: async () => {
            if (isFirst) await write(again, { builder: builderOf("one", "other") });
            isFirst = false;
          },
        },
      });
      expect(namesOf((await read(again)).standing)).toEqual(["one", "other", "two"]);
    });

    test("many builders at once leave a cache that is whole", async () => {
      const again = await open();
      const names = Array.from({ length: 3 }, (_, index) => `builder ${String(index)}`);
      await Promise.all(names.map((name) => write(again, { builder: builderOf("one", name) })));
      const { standing, place } = await read(again);
      for (const { state } of standing.contents.records) {
        for (const diffId of diffIdsOf(state).slice(1)) {
          const blob = standing.contents.layers.get(diffId);
          expect(blob && (await place.has(blob))).toBe(true);
        }
      }
      expect(namesOf(standing)).toContain("one");
    });

    test("a layer that is something else than was promised does not get in", async () => {
      const again = await open();
      const builder = builderOf("one");
      const wrong = { ...builder, bytesOf: () => Buffer.from("blob of ONE") };
      await expect(write(again, { builder: wrong })).rejects.toMatchObject({
        code: "DIGEST_MISMATCH",
      });
      const place = await again();
      expect(await place.resolve(place.name)).toBeUndefined();
    });

    test("something else that stands there is replaced, and told", async () => {
      const again = await open();
      const place = await again();
      const bytes = Buffer.from("{}");
      const config = { mediaType: "text/plain", digest: digestOf(bytes), size: bytes.length };
      const mediaType = mediaTypes.ociManifest;
      const manifest = serializeManifest({ mediaType, config, layers: [] });
      const root = { mediaType, digest: digestOf(manifest), size: manifest.length };
      await place.push(config, Readable.from([bytes], { objectMode: false }));
      await place.push(root, Readable.from([manifest], { objectMode: false }));
      await place.tag(place.name, root);
      const told: unknown[] = [];
      await write(again, { builder: builderOf("one"), onReplaced: (reason) => told.push(reason) });
      expect(told).toMatchObject([{ code: "CACHE_FOREIGN" }]);
      expect(namesOf((await read(again)).standing)).toEqual(["one"]);
    });

    test("what is lost between two looks is told as absent", async () => {
      const place = await (await open())();
      const { blob } = layerCalled("nobody has this");
      expect(await place.has(blob)).toBe(false);
      await expect(place.fetch(blob).then((content) => content.toArray())).rejects.toThrow();
    });

    test("the location leads to the same layers", async () => {
      const again = await open();
      await write(again, { builder: builderOf("one") });
      expect((await again()).location).toBe((await again()).location);
      expect((await again()).location).toMatch(/^type=/);
    });
  });
}

/** A builder whose steps are called so, each on the one before, on an image. */
interface Builder {
  readonly records: readonly RemoteRecord[];
  readonly layers: ReadonlyMap<DiffId, Descriptor>;
  /** Layers that it was asked to give a form, in byte order. */
  readonly asked: DiffId[];
  readonly bytesOf: (blob: Descriptor) => Buffer;
  readonly beforeExport?: () => Promise<void>;
}

function builderOf(...names: readonly string[]): Builder {
  const layers = names.map(layerCalled);
  const contents = new Map(layers.map(({ blob, bytes }) => [blob.digest, bytes]));
  return {
    records: names.map((name, index) =>
      recordOf(name, stackOf("base", ...names.slice(0, index + 1)), { used: "2026-11-21" }),
    ),
    layers: new Map(layers.map(({ diffId, blob }) => [diffId, blob])),
    asked: [],
    bytesOf: ({ digest }) => contents.get(digest) ?? Buffer.alloc(0),
  };
}

async function write(
  again: OpenPlace,
  {
    builder,
    ...more
  }: { readonly builder: Builder } & Partial<
    Pick<WriteCacheRequest, "isNew" | "onProgress" | "onReplaced">
  >,
): Promise<WrittenCache> {
  const place = await again();
  return writeCache({
    ...{ place, records: builder.records, form, ...more },
    isGoodForm: () => true,
    exportLayers: async (wanted) => {
      await builder.beforeExport?.();
      builder.asked.push(...wanted);
      builder.asked.sort();
      return {
        layers: new Map([...builder.layers].filter(([diffId]) => wanted.includes(diffId))),
        source: {
          label: "a builder",
          fetch: (blob) =>
            Promise.resolve(Readable.from([builder.bytesOf(blob)], { objectMode: false })),
          resolve: () => Promise.resolve(undefined),
        },
      };
    },
    now: () => now,
  });
}

async function read(
  again: OpenPlace,
): Promise<{ readonly standing: StandingCache; readonly place: CachePlace }> {
  const place = await again();
  const root = await place.resolve(place.name);
  if (root === undefined) throw new Error("there is no cache");
  return { standing: await readStandingCache({ source: place, root, now }), place };
}

/** Names of the steps that a cache knows, in order. */
function namesOf({ contents }: StandingCache): readonly string[] {
  const all = ["one", "two", "three", "other"].map((name) => ({
    name,
    ...recordOf(name, stackOf("base")),
  }));
  const keys = new Set(contents.records.map(({ key }) => key));
  return all
    .filter(({ key }) => keys.has(key))
    .map(({ name }) => name)
    .sort();
}

function diffIdOf(name: string): DiffId {
  return layerCalled(name).diffId;
}

async function bytesOf(place: CachePlace, blob: Descriptor): Promise<Buffer> {
  return Buffer.concat((await (await place.fetch(blob)).toArray()) as Buffer[]);
}
