import { writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { chainIdOf, digestOf } from "../../../src/core/index.ts";
import { copyGraph, serializeImageConfig, serializeManifest } from "../../../src/image/index.ts";
import type { FetchLayer, LocalImage } from "../../../src/local/index.ts";
import { imageConfig, type MadeImage } from "../../support/image-maker.ts";
import { withImages } from "../../support/with-images.ts";

type Place = Awaited<ReturnType<typeof withImages>>;

/** Manifest and config are here, the layers are still in the registry: what a lazy pull leaves. */
async function pullLazily(
  { images, registry, store }: Place,
  made: MadeImage,
): Promise<LocalImage> {
  for (const { digest, size } of [made.config, made.root]) {
    await store.blobs.write(await registry.fetch({ mediaType: "", digest, size }), {
      digest,
      size,
    });
  }
  registry.fetched.length = 0;
  return images.adopt(made.root);
}

const fetchFrom =
  ({ registry }: Place): FetchLayer =>
  async (descriptor) =>
    registry.fetch(descriptor);

test("layers are fetched, unpacked in order, and known by their blobs", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([
    { a: "1" },
    { b: "2" },
    { c: "3" },
    { d: "4" },
    { e: "5" },
  ]);
  const image = await pullLazily(place, made);
  const top = await place.images.ensureUnpacked(image, { fetchLayer: fetchFrom(place) });
  expect(top).toBe(chainIdOf(made.diffIds));
  const chain = top === undefined ? [] : await place.snapshots.chain(top);
  expect(chain.map(({ diffId }) => diffId)).toEqual(made.diffIds);
  expect(place.registry.fetched.toSorted()).toEqual(
    made.layers.map(({ digest }) => digest).toSorted(),
  );
  for (const [index, diffId] of made.diffIds.entries()) {
    expect(await place.store.layerBlobs.get(diffId)).toEqual([made.layers[index]]);
  }
});

test("what is unpacked already is neither fetched nor read", async () => {
  const place = await withImages();
  const base = await place.registry.addImage([{ a: "1" }]);
  await place.images.ensureUnpacked(await pullLazily(place, base), {
    fetchLayer: fetchFrom(place),
  });
  const made = await place.registry.addImage([{ a: "1" }, { b: "2" }]);
  const image = await pullLazily(place, made);
  await place.images.ensureUnpacked(image, { fetchLayer: fetchFrom(place) });
  expect(place.registry.fetched).toEqual([made.layers[1]?.digest]);
  expect(place.snapshots.applied).toBe(2);
  await place.images.ensureUnpacked(image);
  expect(place.snapshots.applied).toBe(2);
});

test("an image without layers has no chain", async () => {
  const { images } = await withImages();
  const image = await images.create(serializeImageConfig(imageConfig([])), []);
  expect(await images.ensureUnpacked(image)).toBeUndefined();
});

test("who asks at the same time waits for the same work", async () => {
  const place = await withImages();
  const other = await withImages({ root: place.root });
  const made = await place.registry.addImage([{ a: "1" }, { b: "2" }]);
  const image = await pullLazily(place, made);
  const slow: FetchLayer = async (descriptor) => {
    await sleep(20);
    return place.registry.fetch(descriptor);
  };
  // The second store stands for another process; its snapshots are its own, its blobs are shared.
  const tops = await Promise.all(
    [place.images, place.images, other.images].map(async (images) =>
      images.ensureUnpacked(image, { fetchLayer: slow }),
    ),
  );
  expect(new Set(tops)).toEqual(new Set([chainIdOf(made.diffIds)]));
  expect(place.registry.fetched).toHaveLength(2);
  expect(place.snapshots.applied).toBe(2);
});

test("a layer that is not the one of the config is refused, and nothing stays of it", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }, { b: "2" }]);
  const liar = place.registry.add(made.layers[1]?.mediaType ?? "", gzipSync(made.tars[0] ?? ""));
  const manifest = {
    mediaType: made.root.mediaType,
    config: made.config,
    layers: [...made.layers.slice(0, 1), liar],
  };
  const root = place.registry.add(made.root.mediaType, serializeManifest(manifest));
  await copyGraph({ source: place.registry, sink: place.images.sink(), root });
  const image = await place.images.adopt(root);
  await expect(place.images.ensureUnpacked(image)).rejects.toMatchObject({
    code: "DIGEST_MISMATCH",
    details: { expected: made.diffIds[1], found: made.diffIds[0] },
  });
  expect(place.snapshots.applied).toBe(1);
  const refused = made.diffIds.slice(1);
  for (const diffId of refused) expect(await place.store.layerBlobs.get(diffId)).toEqual([]);
});

test("a layer that nobody has is missing", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  const image = await pullLazily(place, made);
  await expect(place.images.ensureUnpacked(image)).rejects.toMatchObject({
    code: "LOCAL_LAYER_MISSING",
  });
});

test("a download that brings something else is refused and can be tried again", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  const image = await pullLazily(place, made);
  const fetchLayer: FetchLayer = async () =>
    Readable.from([Buffer.alloc(made.layers[0]?.size ?? 0)]);
  await expect(place.images.ensureUnpacked(image, { fetchLayer })).rejects.toMatchObject({
    code: "DIGEST_MISMATCH",
  });
  await expect(
    place.images.ensureUnpacked(image, {
      fetchLayer: async () => Promise.reject(new Error("no route")),
    }),
  ).rejects.toThrow("no route");
  const broken: FetchLayer = async () =>
    new Readable({ read: (): void => undefined, construct: (done) => done(new Error("reset")) });
  await expect(place.images.ensureUnpacked(image, { fetchLayer: broken })).rejects.toThrow("reset");
  expect(await place.images.ensureUnpacked(image, { fetchLayer: fetchFrom(place) })).toBe(
    chainIdOf(made.diffIds),
  );
});

test("a blob that was cut off is fetched again", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  const image = await pullLazily(place, made);
  await place.store.blobs.writeBytes(Buffer.from("x"));
  await writeFile(place.store.blobs.path(made.layers[0]?.digest ?? digestOf("")), "half");
  await place.images.ensureUnpacked(image, { fetchLayer: fetchFrom(place) });
  expect(place.registry.fetched).toEqual([made.layers[0]?.digest]);
});

test("an abort ends a download that hangs; another one who waits goes on alone", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  const image = await pullLazily(place, made);
  const abort = new AbortController();
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const hanging: FetchLayer = async () => {
    begin();
    return new Readable({ read: () => undefined });
  };
  const first = place.images.ensureUnpacked(image, { fetchLayer: hanging, signal: abort.signal });
  await begun;
  const second = place.images.ensureUnpacked(image, { fetchLayer: fetchFrom(place) });
  setTimeout(() => abort.abort(), 30);
  await expect(first).rejects.toMatchObject({ name: "AbortError" });
  expect(await second).toBe(chainIdOf(made.diffIds));
});

test("progress tells downloads and unpacking up to their end", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "x".repeat(200_000) }]);
  const image = await pullLazily(place, made);
  const ends = new Map<string, readonly [number, number]>();
  await place.images.ensureUnpacked(image, {
    fetchLayer: fetchFrom(place),
    onProgress: (item, current, total, done) => {
      expect(current).toBeLessThanOrEqual(total);
      if (done) ends.set(item, [current, total]);
    },
  });
  const size = made.layers[0]?.size ?? 0;
  const short = made.layers[0]?.digest.slice(7, 19) ?? "";
  expect(ends).toEqual(
    new Map([
      [short, [size, size]],
      [`unpack ${short}`, [size, size]],
    ]),
  );
});
