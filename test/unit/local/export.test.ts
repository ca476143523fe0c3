import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { digestOf, mediaTypes } from "../../../src/core/index.ts";
import {
  copyGraph,
  type ContentSource,
  type Descriptor,
  type Manifest,
  parseManifest,
  serializeImageConfig,
} from "../../../src/image/index.ts";
import type { ExportOptions, FetchLayer, LocalImage } from "../../../src/local/index.ts";
import { collect } from "../../support/collect.ts";
import { imageConfig, type MadeImage } from "../../support/image-maker.ts";
import { withImages } from "../../support/with-images.ts";

type Place = Awaited<ReturnType<typeof withImages>>;

async function built({ images, snapshots }: Place): Promise<LocalImage> {
  const one = await snapshots.commitFiles(undefined, { one: "1".repeat(5000) });
  const two = await snapshots.commitFiles(one.chainId, { two: "2" });
  return images.create(serializeImageConfig(imageConfig([one.diffId, two.diffId])), ["built"]);
}

async function pulled({ images, registry }: Place, made: MadeImage): Promise<LocalImage> {
  await copyGraph({ source: registry, sink: images.sink(), root: made.root });
  const image = await images.adopt(made.root);
  await images.ensureUnpacked(image);
  return image;
}

async function readManifest(exported: {
  readonly root: Descriptor;
  readonly source: ContentSource;
}): Promise<Manifest> {
  return parseManifest(
    await buffer(await exported.source.fetch(exported.root)),
    exported.root.mediaType,
  );
}

/** Copies the export into a second store, which verifies all of it. */
async function receive(exported: {
  readonly root: Descriptor;
  readonly source: ContentSource;
}): Promise<Place> {
  const other = await withImages();
  await copyGraph({ source: exported.source, sink: other.images.sink(), root: exported.root });
  await other.images.ensureUnpacked(await other.images.adopt(exported.root));
  return other;
}

test("a built image leaves as plain tars without writing a blob", async () => {
  const place = await withImages();
  const image = await built(place);
  const before = await collect(place.store.blobs.list());
  const exported = await place.images.exportImage(image, { compression: "none", reuse: false });
  const { config, layers } = await readManifest(exported);
  expect(config).toEqual({
    mediaType: mediaTypes.ociConfig,
    digest: image.id,
    size: image.configBytes.length,
  });
  expect(layers.map(({ digest }) => digest)).toEqual(image.config.diffIds);
  expect(layers.map(({ mediaType }) => mediaType)).toEqual([
    mediaTypes.ociLayer,
    mediaTypes.ociLayer,
  ]);
  const other = await receive(exported);
  expect(await other.images.find(image.id)).toMatchObject({ configBytes: image.configBytes });
  expect(await collect(place.store.blobs.list())).toEqual(before);
});

test("a built image is compressed once, to the same digest at the same level", async () => {
  const place = await withImages();
  const image = await built(place);
  const options = { compression: "gzip", compressionLevel: 1, reuse: true } as const;
  const first = await place.images.exportImage(image, options);
  const { layers } = await readManifest(first);
  for (const [index, { digest, mediaType, size }] of layers.entries()) {
    const blob = await place.store.blobs.read(digest);
    expect(mediaType).toBe(mediaTypes.ociLayerGzip);
    expect(blob).toHaveLength(size);
    expect(digestOf(gunzipSync(blob))).toBe(image.config.diffIds[index]);
  }
  expect((await place.images.exportImage(image, options)).root).toEqual(first.root);
  await receive(first);

  const again = await withImages();
  expect((await again.images.exportImage(await built(again), options)).root).toEqual(first.root);
});

/** Text that becomes other bytes at each level. */
const words = Array.from({ length: 20_000 }, (_, at) => ((at * at * 31) % 9973).toString(36)).join(
  " ",
);

async function builtOfWords(place: Place): Promise<LocalImage> {
  const { diffId } = await place.snapshots.commitFiles(undefined, { words });
  return place.images.create(serializeImageConfig(imageConfig([diffId])), ["words"]);
}

async function layerOf(
  { images }: Place,
  image: LocalImage,
  options: ExportOptions,
): Promise<Descriptor> {
  const [layer] = (await readManifest(await images.exportImage(image, options))).layers;
  if (layer === undefined) throw new Error("an image without layers");
  return layer;
}

const [gzip, zstd] = [{ compression: "gzip" }, { compression: "zstd" }] as const;
const forms = [gzip, { ...gzip, compressionLevel: 1 }, { ...gzip, compressionLevel: 9 }] as const;

/** What earlier versions knew of the blobs of a layer: not their level. */
async function forgetLevels({ store }: Place): Promise<void> {
  for await (const layer of store.layerBlobs.list()) {
    for (const { mediaType, digest, size } of await store.layerBlobs.get(layer)) {
      await store.layerBlobs.remove(layer, digest);
      await store.layerBlobs.add(layer, { mediaType, digest, size });
    }
  }
}

test("a layer that was built here has the level that is asked for, whatever left before", async () => {
  const fresh: Descriptor[] = [];
  for (const form of forms) {
    const place = await withImages();
    fresh.push(await layerOf(place, await builtOfWords(place), { ...form, reuse: true }));
  }
  expect(new Set(fresh.map(({ digest }) => digest)).size).toBe(forms.length);
  const place = await withImages();
  const image = await builtOfWords(place);
  const made: string[] = [];
  const listenTo = (layer: string): Promise<undefined> => {
    made.push(layer);
    return Promise.resolve(undefined);
  };
  const turns = [1, 2, 0, 2, 1, 0].flatMap((at) => [
    { at, reuse: true },
    { at, reuse: false },
  ]);
  for (const { at, reuse } of turns) {
    const form = forms[at] ?? gzip;
    expect(await layerOf(place, image, { ...form, reuse, listenTo })).toEqual(fresh[at]);
  }
  const usual = { ...gzip, reuse: true } as const;
  const other = await withImages();
  const { root } = await other.images.exportImage(await builtOfWords(other), usual);
  expect((await place.images.exportImage(image, usual)).root).toEqual(root);
  // Each form once.
  expect(made).toHaveLength(forms.length);
  expect(new Set((await collect(place.store.blobs.list())).map(({ digest }) => digest))).toEqual(
    new Set([image.id, ...fresh.map(({ digest }) => digest)]),
  );
});

test("levels of zstd are kept apart, too, and its default is level 3", async () => {
  const place = await withImages();
  const image = await builtOfWords(place);
  const at = (compressionLevel?: number): Promise<Descriptor> =>
    layerOf(place, image, {
      ...{ ...zstd, reuse: true },
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
    });
  const high = await at(19);
  const usual = await at();
  expect(usual.digest).not.toBe(high.digest);
  expect(await at(3)).toEqual(usual);
  expect(await at(0)).toEqual(usual);
  expect(await at(19)).toEqual(high);
});

test("exports at two levels at the same time do not mix", async () => {
  const place = await withImages();
  const image = await builtOfWords(place);
  const ways = [...forms, ...forms];
  const layers = await Promise.all(
    ways.map((form) => layerOf(place, image, { ...form, reuse: false })),
  );
  for (const [at, form] of ways.entries()) {
    const alone = await withImages();
    const other = await builtOfWords(alone);
    expect(layers[at]).toEqual(await layerOf(alone, other, { ...form, reuse: false }));
  }
});

test("a blob of unknown level does not stand for a layer that was built here", async () => {
  const place = await withImages();
  const image = await builtOfWords(place);
  const quick = await layerOf(place, image, { ...gzip, compressionLevel: 1, reuse: true });
  await forgetLevels(place);
  const other = await withImages();
  const usual = await layerOf(other, await builtOfWords(other), { ...gzip, reuse: true });
  expect(await layerOf(place, image, { ...gzip, reuse: true })).toEqual(usual);
  // Made once more, and known from now on.
  expect(await layerOf(place, image, { ...gzip, compressionLevel: 1, reuse: true })).toEqual(quick);
});

test("a pulled layer keeps its bytes until a form is forced, and then again without force", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ words }]);
  const image = await pulled(place, made);
  const [published] = made.layers;
  const same = async (form: Omit<ExportOptions, "reuse">): Promise<void> =>
    expect(await layerOf(place, image, { ...form, reuse: true })).toEqual(published);
  for (const form of [...forms, zstd]) await same(form);
  const forced = await layerOf(place, image, { ...gzip, compressionLevel: 1, reuse: false });
  expect(forced.digest).not.toBe(published?.digest);
  const high = await layerOf(place, image, { ...zstd, compressionLevel: 19, reuse: false });
  const usual = await layerOf(place, image, { ...zstd, reuse: false });
  expect(usual.digest).not.toBe(high.digest);
  for (const form of [...forms, zstd]) await same(form);
  // It is gzip, of which no level was asked.
  expect(await layerOf(place, image, { ...gzip, reuse: false })).toEqual(published);
});

test("a pulled layer of which no manifest tells any more keeps its bytes", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ words }]);
  await pulled(place, made);
  const config = serializeImageConfig({ ...imageConfig(made.diffIds), author: "me" });
  const image = await place.images.create(config, ["mine"]);
  for (const form of forms) {
    expect(await layerOf(place, image, { ...form, reuse: true })).toEqual(made.layers[0]);
  }
  const forced = await layerOf(place, image, { ...gzip, compressionLevel: 1, reuse: false });
  expect(forced.digest).not.toBe(made.layers[0]?.digest);
  expect(await layerOf(place, image, { ...gzip, reuse: true })).toEqual(made.layers[0]);
});

test("what a cache of another machine has of a layer is nothing to one that was built here", async () => {
  const place = await withImages();
  const image = await builtOfWords(place);
  const [layer] = image.config.diffIds;
  if (layer === undefined) throw new Error("an image without layers");
  const other = await withImages();
  const usual = await layerOf(other, await builtOfWords(other), { ...gzip, reuse: true });
  const blob = { mediaType: mediaTypes.ociLayerZstd, digest: digestOf("theirs"), size: 6 };
  await place.store.layerOrigins.add(layer, { blob, place: "type=registry,ref=cache" });
  const fetchLayer: FetchLayer = () => Promise.reject(new Error("nobody asks"));
  const options = { ...gzip, reuse: true, fetchLayer } as const;
  expect(await layerOf(place, image, options)).toEqual(usual);
});

test("a layer whose blob has gone is fetched in the form in which it was published", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ words }]);
  const image = await pulled(place, made);
  await layerOf(place, image, { ...zstd, reuse: false });
  for (const { digest } of made.layers) await place.store.blobs.remove(digest);
  const fetchLayer: FetchLayer = async (descriptor) => place.registry.fetch(descriptor);
  const exported = await place.images.exportImage(image, { ...gzip, reuse: true, fetchLayer });
  expect(exported.root).toEqual(made.root);
  await receive(exported);
});

test("with reuse a layer leaves in the form in which it came", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  const image = await pulled(place, made);
  const reused = await readManifest(
    await place.images.exportImage(image, { compression: "none", reuse: true }),
  );
  expect(reused.layers).toEqual(made.layers);
  const plain = await readManifest(
    await place.images.exportImage(image, { compression: "none", reuse: false }),
  );
  expect(plain.layers.map(({ digest }) => digest)).toEqual(image.config.diffIds);
});

test("a pulled image leaves under the digest it came with", async () => {
  for (const docker of [false, true]) {
    const place = await withImages();
    const made = await place.registry.addImage([{ a: "1" }, { b: "2" }], { docker });
    const image = await pulled(place, made);
    const exported = await place.images.exportImage(image, { compression: "gzip", reuse: true });
    expect(exported.root).toEqual(made.root);
    await receive(exported);
  }
});

test("a pulled image leaves as the plain tars that its config names, from its blobs", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }, { b: "2" }]);
  const image = await pulled(place, made);
  const exported = await place.images.exportImage(image, { compression: "none", reuse: false });
  const { layers } = await readManifest(exported);
  expect(layers).toEqual(
    made.tars.map((tar) => ({
      mediaType: mediaTypes.ociLayer,
      digest: digestOf(tar),
      size: tar.length,
    })),
  );
  await receive(exported);
});

test("the plain tar of a layer that was never unpacked is measured from its blob", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  await copyGraph({ source: place.registry, sink: place.images.sink(), root: made.root });
  const image = await place.images.adopt(made.root);
  const exported = await place.images.exportImage(image, { compression: "none", reuse: false });
  expect((await readManifest(exported)).layers).toMatchObject([
    { digest: made.diffIds[0], size: made.tars[0]?.length },
  ]);
  expect(place.snapshots.applied).toBe(0);
});

test("types are of one family: Docker's when asked for", async () => {
  const place = await withImages();
  const image = await built(place);
  const exported = await place.images.exportImage(image, {
    compression: "gzip",
    reuse: false,
    dockerTypes: true,
  });
  const { config, layers } = await readManifest(exported);
  expect(exported.root.mediaType).toBe(mediaTypes.dockerManifest);
  expect(config.mediaType).toBe(mediaTypes.dockerConfig);
  expect(new Set(layers.map(({ mediaType }) => mediaType))).toEqual(
    new Set([mediaTypes.dockerLayerGzip]),
  );

  const made = await place.registry.addImage([{ a: "1" }], { docker: true });
  const oci = await place.images.exportImage(await pulled(place, made), {
    compression: "gzip",
    reuse: true,
    dockerTypes: false,
  });
  expect(oci.root.mediaType).toBe(mediaTypes.ociManifest);
  expect((await readManifest(oci)).layers).toMatchObject([
    { mediaType: mediaTypes.ociLayerGzip, digest: made.layers[0]?.digest },
  ]);
});

test("a layer that is only in its registry is fetched when the other side wants it", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }, { b: "2" }]);
  for (const { digest, size } of [made.config, made.root]) {
    await place.store.blobs.write(await place.registry.fetch({ mediaType: "", digest, size }));
  }
  const image = await place.images.adopt(made.root);
  place.registry.fetched.length = 0;
  const fetchLayer: FetchLayer = async (descriptor) => place.registry.fetch(descriptor);
  const exported = await place.images.exportImage(image, {
    compression: "gzip",
    reuse: true,
    fetchLayer,
  });
  expect(exported.root).toEqual(made.root);
  expect(place.registry.fetched).toEqual([]);
  await receive(exported);
  expect(place.registry.fetched).toHaveLength(2);
  await expect(
    place.images.exportImage(image, { compression: "gzip", reuse: true }),
  ).resolves.toBeDefined();
});

test("an image built on a base that was never unpacked takes its layers from the base's manifest", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  await copyGraph({ source: place.registry, sink: place.images.sink(), root: made.root });
  const config = serializeImageConfig({ ...imageConfig(made.diffIds), config: { env: ["A=1"] } });
  await place.images.adopt(made.root);
  const image = await place.images.create(config, ["labelled"], { base: made.config.digest });
  const exported = await place.images.exportImage(image, { compression: "gzip", reuse: true });
  expect((await readManifest(exported)).layers).toEqual(made.layers);
  expect(await place.images.find("labelled")).toMatchObject({ base: made.root });

  const again = serializeImageConfig({ ...imageConfig(made.diffIds), author: "on top" });
  expect(await place.images.create(again, [], { base: image.id })).toMatchObject({
    base: made.root,
  });

  // A base says nothing about layers that are not its own.
  const other = serializeImageConfig({
    ...imageConfig([...made.diffIds].reverse().slice(1)),
    author: "x",
  });
  expect(
    (await place.images.create(other, [], { base: made.config.digest })).config.diffIds,
  ).toEqual([]);
  const foreign = await place.snapshots.commitFiles(undefined, { f: "f" });
  const stranger = await place.images.create(
    serializeImageConfig(imageConfig([foreign.diffId])),
    [],
    { base: made.config.digest },
  );
  const plain = await readManifest(
    await place.images.exportImage(stranger, { compression: "none", reuse: true }),
  );
  expect(plain.layers.map(({ digest }) => digest)).toEqual([foreign.diffId]);
});

test("a pulled layer whose blob is gone cannot leave: its tar was another's", async () => {
  const place = await withImages();
  const made = await place.registry.addImage([{ a: "1" }]);
  const image = await pulled(place, made);
  for (const { digest } of made.layers) await place.store.blobs.remove(digest);
  await expect(
    place.images.exportImage(image, { compression: "none", reuse: false }),
  ).rejects.toMatchObject({ code: "LOCAL_LAYER_MISSING" });
});

test("a snapshot that was changed is told, and no blob is kept of it", async () => {
  const place = await withImages();
  const image = await built(place);
  const [first] = image.config.diffIds;
  for await (const snapshot of place.snapshots.list()) {
    if (snapshot.diffId !== first) continue;
    place.snapshots.tamper(snapshot.chainId, { one: "changed" });
  }
  await expect(
    place.images.exportImage(image, { compression: "gzip", reuse: false }),
  ).rejects.toMatchObject({ code: "LOCAL_LAYER_CHANGED" });
  expect(await collect(place.store.layerBlobs.list())).toEqual([]);
});

test("zstd layers are of OCI's media type, and made once", async () => {
  const place = await withImages();
  const image = await built(place);
  const options = { compression: "zstd", reuse: false } as const;
  const manifest = await readManifest(await place.images.exportImage(image, options));
  for (const { mediaType } of manifest.layers)
    expect(mediaType).toBe("application/vnd.oci.image.layer.v1.tar+zstd");
  const again = await readManifest(await place.images.exportImage(image, options));
  expect(again).toEqual(manifest);
});

test("Docker's media types know no zstd: asked for both is refused", async () => {
  const place = await withImages();
  const options = { compression: "zstd", reuse: false, dockerTypes: true } as const;
  await expect(place.images.exportImage(await built(place), options)).rejects.toMatchObject({
    code: "LOCAL_COMPRESSION_UNSUPPORTED",
  });
});

test("what was compressed for somebody else does not decide how a layer leaves", async () => {
  const place = await withImages();
  const image = await built(place);
  await place.images.exportImage(image, { compression: "zstd", reuse: false });
  const exported = await place.images.exportImage(image, { compression: "gzip", reuse: true });
  for (const { mediaType } of (await readManifest(exported)).layers)
    expect(mediaType).toBe("application/vnd.oci.image.layer.v1.tar+gzip");
});

test("the export answers to the names of its image alone", async () => {
  const place = await withImages();
  const image = await built(place);
  await place.images.create(serializeImageConfig({ ...imageConfig([]), author: "x" }), ["other"]);
  const { root, source } = await place.images.exportImage(image, {
    compression: "none",
    reuse: false,
  });
  expect(await source.resolve("built")).toEqual(root);
  expect(await source.resolve("other")).toBeUndefined();
  expect(await source.resolve("nothing")).toBeUndefined();
});
