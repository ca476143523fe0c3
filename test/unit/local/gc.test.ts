import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { copyGraph, serializeImageConfig } from "../../../src/image/index.ts";
import {
  collectGarbage,
  type GcOptions,
  type GcReport,
  type LocalImage,
} from "../../../src/local/index.ts";
import { collect } from "../../support/collect.ts";
import { imageConfig } from "../../support/image-maker.ts";
import { startStoreChild } from "../../support/store-child.ts";
import { withImages } from "../../support/with-images.ts";

type Place = Awaited<ReturnType<typeof withImages>>;

const gc = async (place: Place, options: Partial<GcOptions> = {}): Promise<GcReport> =>
  collectGarbage({ store: place.store, snapshots: place.snapshots, roots: () => [], ...options });

async function built(
  { images, snapshots }: Place,
  name: string,
  ...layers: readonly string[]
): Promise<LocalImage> {
  const diffIds = [];
  let parent;
  for (const layer of layers) {
    const snapshot = await snapshots.commitFiles(parent, { [layer]: layer });
    diffIds.push(snapshot.diffId);
    parent = snapshot.chainId;
  }
  const config = { ...imageConfig(diffIds), author: name };
  return images.create(serializeImageConfig(config), name === "" ? [] : [name]);
}

const chainsHere = async ({ snapshots }: Place): Promise<ReadonlySet<string>> =>
  new Set((await collect(snapshots.list())).map(({ chainId }) => chainId));
const blobsHere = async ({ store }: Place): Promise<ReadonlySet<string>> =>
  new Set((await collect(store.blobs.list())).map(({ digest }) => digest));

test("everything that a name needs stays, the rest goes", async () => {
  const place = await withImages();
  const kept = await built(place, "kept", "base", "kept");
  const chains = await chainsHere(place);
  await built(place, "gone", "base", "gone", "gone too");
  await place.images.remove("gone");
  await place.snapshots.commitFiles(undefined, { stray: "layer" });
  await place.store.blobs.writeBytes(Buffer.from("stray"));
  const report = await gc(place);
  expect(report).toMatchObject({ type: "done" });
  const removed =
    report.type === "done" ? report.steps.map((step) => [step.name, step.removed]) : [];
  expect(Object.fromEntries(removed)).toEqual({
    names: 0,
    mark: 0,
    images: 0,
    snapshots: 3,
    blobs: 2,
    "layer-blobs": 0,
    "layer-origins": 0,
    tmp: 0,
  });
  expect(await chainsHere(place)).toEqual(chains);
  expect(await blobsHere(place)).toEqual(new Set([kept.id]));
  expect(await gc(place)).toMatchObject({ bytes: 0 });
});

test("a pulled image stays with manifest, layers and index, also when it was never unpacked", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }, { b: "2" }]);
  const root = place.registry.addIndex([
    { ...made.root, platform: { os: "linux", architecture: "amd64" } },
  ]);
  const sink = place.images.sink();
  await copyGraph({ source: place.registry, sink, root });
  await sink.tag("pulled", root);
  await gc(place);
  expect(await blobsHere(place)).toEqual(
    new Set([root, made.root, made.config, ...made.layers].map(({ digest }) => digest)),
  );
  await place.images.remove("pulled");
  await gc(place);
  expect(await blobsHere(place)).toEqual(new Set());
});

test("an image built on a pulled one keeps the blobs from which its base can be pushed again", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  await copyGraph({ source: place.registry, sink: place.images.sink(), root: made.root });
  const base = await place.images.adopt(made.root);
  await place.images.ensureUnpacked(base);
  const config = { ...imageConfig(made.diffIds), author: "me" };
  const image = await place.images.create(serializeImageConfig(config), ["mine"]);
  await place.images.remove(base.id);
  await gc(place);
  const layer = made.layers.map(({ digest }) => digest);
  expect(await blobsHere(place)).toEqual(new Set([image.id, ...layer]));
  const exported = await place.images.exportImage(image, { compression: "gzip", reuse: true });
  await copyGraph({
    source: exported.source,
    sink: (await withImages()).images.sink(),
    root: exported.root,
  });
});

test("a base that was never unpacked stays as long as what was built on it", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  await copyGraph({ source: place.registry, sink: place.images.sink(), root: made.root });
  await place.images.adopt(made.root);
  const config = { ...imageConfig(made.diffIds), author: "me" };
  await place.images.create(serializeImageConfig(config), ["mine"], { base: made.config.digest });
  await place.images.remove(made.config.digest);
  await gc(place);
  expect((await blobsHere(place)).has(made.layers[0]?.digest ?? "")).toBe(true);
});

test("roots that others give stay: chains of cache records, images of containers, descriptors", async () => {
  const place = await withImages();
  const cached = await place.snapshots.commitFiles(undefined, { cached: "base" });
  const top = await place.snapshots.commitFiles(cached.chainId, { cached: "top" });
  const container = await built(place, "", "container");
  const { digest } = await place.store.blobs.writeBytes(Buffer.from("lone"));
  await gc(place, {
    dangling: "remove",
    roots: () => [
      { type: "chain", chainId: top.chainId },
      { type: "image", id: container.id },
      { type: "descriptor", descriptor: { mediaType: "text/plain", digest, size: 4 } },
    ],
  });
  expect((await chainsHere(place)).size).toBe(3);
  expect(await blobsHere(place)).toEqual(new Set([container.id, digest]));
  await gc(place, { dangling: "remove" });
  expect(await chainsHere(place)).toEqual(new Set());
  expect(await blobsHere(place)).toEqual(new Set());
});

test("images without a name stay unless told", async () => {
  const place = await withImages();
  const image = await built(place, "", "layer");
  await gc(place);
  expect(await place.images.find(image.id)).toBeDefined();
  await gc(place, { dangling: "remove" });
  expect(await place.images.list()).toEqual([]);
  expect(await chainsHere(place)).toEqual(new Set());
});

test("children are removed before their parents", async () => {
  const place = await withImages();
  await built(place, "gone", "1", "2", "3", "4");
  await place.images.remove("gone");
  const remove = place.snapshots.remove.bind(place.snapshots);
  place.snapshots.remove = async (chainId) => {
    for (const { parent } of await collect(place.snapshots.list()))
      expect(parent).not.toBe(chainId);
    await remove(chainId);
  };
  await gc(place);
  expect(await chainsHere(place)).toEqual(new Set());
});

test("what cannot be read stops gc before it deletes; what is damaged does not", async () => {
  const place = await withImages();
  const image = await built(place, "app", "layer");
  await place.store.blobs.writeBytes(Buffer.from("stray"));
  const unreadable: Place = {
    ...place,
    store: {
      ...place.store,
      names: { ...place.store.names, list: async () => Promise.reject(new Error("EIO")) },
    },
  };
  await expect(gc(unreadable)).rejects.toThrow("EIO");
  await expect(
    gc(place, {
      roots: () => {
        throw new Error("no containers");
      },
    }),
  ).rejects.toThrow("no containers");
  expect((await blobsHere(place)).size).toBe(2);

  const broken = await place.store.blobs.writeBytes(Buffer.from("{}"));
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  await place.store.names.set({ name: "broken", descriptor: { mediaType, ...broken } });
  await gc(place);
  expect(await blobsHere(place)).toEqual(new Set([image.id, broken.digest]));
});

test("a layer's blobs of all levels stay as long as the layer, and go with it", async () => {
  const place = await withImages();
  const image = await built(place, "app", "layer ".repeat(3000));
  for (const compressionLevel of [1, 9]) {
    const options = { compression: "gzip", compressionLevel, reuse: false } as const;
    await place.images.exportImage(image, options);
  }
  const before = await blobsHere(place);
  expect(before.size).toBe(3);
  await gc(place);
  expect(await blobsHere(place)).toEqual(before);
  await place.images.remove("app");
  await gc(place);
  expect(await blobsHere(place)).toEqual(new Set());
  expect(await collect(place.store.layerBlobs.list())).toEqual([]);
});

test("hints to blobs that are gone are forgotten", async () => {
  const place = await withImages();
  const image = await built(place, "app", "layer");
  await place.images.exportImage(image, { compression: "gzip", reuse: false });
  await gc(place);
  const [layer] = await collect(place.store.layerBlobs.list());
  const [blob] = layer === undefined ? [] : await place.store.layerBlobs.get(layer);
  await place.store.blobs.remove(blob?.digest ?? digestOf(""));
  await gc(place);
  expect(await collect(place.store.layerBlobs.list())).toEqual([]);
});

test("gc is deferred while another process is protected, and never blocks", async () => {
  const place = await withImages();
  const child = await startStoreChild(place.root);
  await child.tell({ do: "protect" });
  await place.store.blobs.writeBytes(Buffer.from("in the making"));
  expect(await gc(place)).toEqual({ type: "deferred" });
  expect((await blobsHere(place)).size).toBe(1);
  await child.kill();
  expect(await gc(place)).toMatchObject({ type: "done" });
  expect((await blobsHere(place)).size).toBe(0);
});

test("gc beside two processes that build does not harm them", async () => {
  const place = await withImages();
  const children = [await startStoreChild(place.root), await startStoreChild(place.root)];
  const ends: string[] = [];
  for (const [index, child] of children.entries()) {
    void child
      .tell({ do: "build-forever", name: `app${String(index)}` })
      .then((answer) => ends.push(answer));
  }
  const listNames = async () => place.store.protect(async () => place.store.names.list());
  await vi.waitUntil(async () => (await listNames()).length === 2, { timeout: 60_000 });
  // Most are deferred: they have to come between two builds of the one and of the other.
  for (let done = 0; done < 12;) {
    done += (await gc(place)).type === "done" ? 1 : 0;
    for (const { descriptor } of await listNames()) expect(descriptor.size).toBeGreaterThan(0);
    await sleep(1);
  }
  // A child that lost a blob would have answered that it failed.
  expect(ends).toEqual([]);
  await Promise.all(children.map(async (child) => child.kill()));
  expect(await gc(place)).toMatchObject({ type: "done" });
  const names = await place.store.names.list();
  expect(names).toHaveLength(2);
  for (const { descriptor } of names) {
    expect((await place.store.blobs.read(descriptor.digest)).length).toBe(descriptor.size);
  }
  expect((await blobsHere(place)).size).toBe(2);
});
