import { expect, test } from "vitest";
import type { CacheEntry } from "../../../src/cache/index.ts";
import { serializeImageConfig } from "../../../src/image/index.ts";
import { diskUsage, type DiskUsageOptions } from "../../../src/local/index.ts";
import { imageConfig } from "../../support/image-maker.ts";
import { withImages } from "../../support/with-images.ts";

const nothing = { containers: [], volumes: [], cache: toStream([]) };

async function* toStream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

test("an empty root takes up nothing", async () => {
  const { store, snapshots } = await withImages();
  const none = { total: 0, active: 0, size: 0, reclaimable: 0 };
  expect(await diskUsage({ store, snapshots, ...nothing })).toEqual({
    images: { ...none, items: [] },
    containers: none,
    volumes: none,
    buildCache: none,
  });
});

test("shared layers count once; what is in use cannot be reclaimed", async () => {
  const { store, snapshots, images } = await withImages();
  const base = await snapshots.commitFiles(undefined, { base: "b".repeat(1000) });
  const one = await snapshots.commitFiles(base.chainId, { one: "1".repeat(100) });
  const two = await snapshots.commitFiles(base.chainId, { two: "2".repeat(10) });
  const first = await images.create(serializeImageConfig(imageConfig([base.diffId, one.diffId])), [
    "one",
  ]);
  const second = await images.create(serializeImageConfig(imageConfig([base.diffId, two.diffId])), [
    "two",
  ]);
  const [a, b] = [first.configBytes.length, second.configBytes.length];
  const containers: DiskUsageOptions["containers"] = [
    { image: first.id, size: 7, running: true },
    { image: first.id, size: 5, running: false },
  ];
  const usage = await diskUsage({ ...nothing, store, snapshots, containers });
  expect(usage.images).toMatchObject({
    total: 2,
    active: 1,
    size: 1110 + a + b,
    reclaimable: 10 + b,
  });
  const items = new Map(usage.images.items.map((item) => [item.id, item]));
  expect(items.get(first.id)).toMatchObject({
    size: 1100 + a,
    shared: 1000,
    unique: 100 + a,
    containers: 2,
  });
  expect(items.get(second.id)).toMatchObject({
    names: ["docker.io/library/two:latest"],
    shared: 1000,
    unique: 10 + b,
    containers: 0,
  });
  expect(usage.containers).toEqual({ total: 2, active: 1, size: 12, reclaimable: 5 });
});

test("the build cache is what images do not have already", async () => {
  const { store, snapshots, images } = await withImages();
  const base = await snapshots.commitFiles(undefined, { base: "b".repeat(1000) });
  const step = await snapshots.commitFiles(base.chainId, { step: "s".repeat(50) });
  await images.create(serializeImageConfig(imageConfig([base.diffId])), ["app"]);
  const entry = (chainId: CacheEntry["record"]["chainId"], size: number) => ({ chainId, size });
  const cache = toStream([entry(base.chainId, 3), entry(step.chainId, 4), entry(undefined, 5)]);
  const usage = await diskUsage({
    ...nothing,
    store,
    snapshots,
    cache,
    volumes: [
      { size: 9, used: false },
      { size: 1, used: true },
    ],
  });
  expect(usage.buildCache).toEqual({ total: 3, active: 1, size: 50 + 12, reclaimable: 50 + 9 });
  expect(usage.volumes).toEqual({ total: 2, active: 1, size: 10, reclaimable: 9 });
});
