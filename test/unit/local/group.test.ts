import { buffer } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { digestHex, mediaTypes, type Digest } from "../../../src/core/index.ts";
import {
  copyGraph,
  parseIndex,
  parseManifest,
  serializeImageConfig,
} from "../../../src/image/index.ts";
import { collectGarbage, type ImageGroup } from "../../../src/local/index.ts";
import { collect } from "../../support/collect.ts";
import { imageConfig } from "../../support/image-maker.ts";
import { withImages } from "../../support/with-images.ts";

type Place = Awaited<ReturnType<typeof withImages>>;

const platforms = {
  amd64: { os: "linux", architecture: "amd64" },
  arm64: { os: "linux", architecture: "arm64" },
  arm: { os: "linux", architecture: "arm", variant: "v7" },
} as const;

/** An image for each architecture, one layer each. */
async function prepared(
  { images, snapshots }: Place,
  architectures: readonly (keyof typeof platforms)[],
  options: { readonly annotations?: Readonly<Record<string, string>> } = {},
): Promise<ImageGroup> {
  const members = [];
  for (const name of architectures) {
    const platform = platforms[name];
    const layer = await snapshots.commitFiles(undefined, { [name]: name });
    const config = { ...imageConfig([layer.diffId]), ...platform };
    const image = await images.prepare(serializeImageConfig(config), options);
    members.push({ image, platform, annotations: { member: name } });
  }
  return { members, index: { annotations: { whole: "yes" } } };
}

async function kept(place: Place, names: readonly string[] = ["app:1"]): Promise<ImageGroup> {
  return place.images.keep(await prepared(place, ["arm64", "arm", "amd64"]), names);
}

const rootOf = (group: ImageGroup): Digest => {
  const root = group.members[0]?.image.root;
  if (root === undefined) throw new Error("the group was not kept");
  return root.digest;
};

test("a name stands for images of several platforms; the platform chooses", async () => {
  const place = await withImages();
  const id = rootOf(await kept(place));
  for (const word of ["app:1", id, digestHex(id).slice(0, 12)]) {
    for (const platform of Object.values(platforms)) {
      const found = await place.images.find(word, platform);
      expect(found?.config).toMatchObject(platform);
      expect(found?.root?.digest).toBe(id);
    }
    const { architecture } = (await place.images.find(word))?.config ?? {};
    expect(architecture).toBe(process.arch === "arm64" ? "arm64" : "amd64");
  }
});

test("keeping the same images again gives the same ID and writes nothing", async () => {
  const place = await withImages();
  const id = rootOf(await kept(place));
  const before = await collect(place.store.blobs.list());
  expect(rootOf(await kept(place))).toBe(id);
  expect(await collect(place.store.blobs.list())).toEqual(before);
});

test("no layer is compressed until the images leave", async () => {
  const place = await withImages();
  const group = await kept(place);
  const types = await Promise.all(
    group.members.map(async ({ image }) =>
      Promise.all(image.config.diffIds.map(async (diffId) => place.store.layerBlobs.get(diffId))),
    ),
  );
  expect(types.flat(2)).toEqual([]);
});

test("all platforms leave in one index, by one graph copy, and arrive whole [7.6]", async () => {
  const place = await withImages();
  await kept(place);
  const image = await place.images.find("app:1");
  if (image === undefined) throw new Error("not found");
  const exported = await place.images.exportImage(image, { compression: "gzip", reuse: true });
  const bytes = await buffer(await exported.source.fetch(exported.root));
  const index = parseIndex(bytes, exported.root.mediaType);
  expect(index.annotations).toEqual({ whole: "yes" });
  expect(index.manifests.map(({ platform, annotations }) => [platform, annotations])).toEqual([
    [platforms.arm64, { member: "arm64" }],
    [platforms.arm, { member: "arm" }],
    [platforms.amd64, { member: "amd64" }],
  ]);
  const other = await withImages();
  await copyGraph({ source: exported.source, sink: other.images.sink(), root: exported.root });
  await other.images.sink().tag("app:1", exported.root);
  for (const platform of Object.values(platforms)) {
    const arrived = await other.images.find("app:1", platform);
    expect(arrived?.config).toMatchObject(platform);
    if (arrived !== undefined) await other.images.ensureUnpacked(arrived);
  }
  // What came as an index goes on as that very index.
  const again = await other.images.find("app:1");
  if (again === undefined) throw new Error("not found");
  const onwards = await other.images.exportImage(again, { compression: "gzip", reuse: true });
  expect(onwards.root).toEqual(exported.root);
});

test("an index can have Docker's media types all through [7.5]", async () => {
  const place = await withImages();
  const group = await prepared(place, ["amd64", "arm64"]);
  const { root, source } = await place.images.exportGroup(group, {
    ...{ compression: "gzip", reuse: true, dockerTypes: true },
  });
  expect(root.mediaType).toBe(mediaTypes.dockerIndex);
  const { manifests } = parseIndex(await buffer(await source.fetch(root)), root.mediaType);
  for (const descriptor of manifests) {
    expect(descriptor.mediaType).toBe(mediaTypes.dockerManifest);
    const bytes = await buffer(await source.fetch(descriptor));
    const manifest = parseManifest(bytes, descriptor.mediaType);
    expect(manifest.config.mediaType).toBe(mediaTypes.dockerConfig);
    expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual([mediaTypes.dockerLayerGzip]);
  }
});

test("annotations of a lone image are kept with its name and leave with it", async () => {
  const place = await withImages();
  const annotations = { "org.example.note": "kept" };
  const { members } = await prepared(place, ["amd64"], { annotations });
  await place.images.keep({ members: members.map(({ image }) => ({ image })) }, ["noted"]);
  const image = await place.images.find("noted");
  if (image === undefined) throw new Error("not found");
  expect(image.annotations).toEqual(annotations);
  const { root, source } = await place.images.exportImage(image, {
    ...{ compression: "none", reuse: false },
  });
  const manifest = parseManifest(await buffer(await source.fetch(root)), root.mediaType);
  expect(manifest.annotations).toEqual(annotations);
  expect(manifest.layers).toHaveLength(1);
});

test("the list tells which images are one", async () => {
  const place = await withImages();
  const id = rootOf(await kept(place, ["app:1", "app:2"]));
  const list = await place.images.list();
  expect(list).toHaveLength(3);
  for (const { indexes } of list)
    expect(indexes).toEqual([
      { digest: id, names: ["docker.io/library/app:1", "docker.io/library/app:2"] },
    ]);
});

test("gc keeps every platform of a named index, and of a nameless one until it is told", async () => {
  const place = await withImages();
  await kept(place);
  const all = { store: place.store, snapshots: place.snapshots, roots: () => [] };
  const before = await collect(place.store.blobs.list());
  await collectGarbage({ ...all, dangling: "remove" });
  expect(await collect(place.store.blobs.list())).toEqual(before);
  await place.store.names.remove("docker.io/library/app:1");
  await collectGarbage({ ...all, dangling: "keep" });
  expect(await collect(place.store.blobs.list())).toEqual(before);
  await collectGarbage({ ...all, dangling: "remove" });
  expect(await collect(place.store.blobs.list())).toEqual([]);
  expect(await collect(place.snapshots.list())).toEqual([]);
});

test("removing the name, or the ID, removes the images of all platforms", async () => {
  for (const by of ["name", "id"]) {
    const place = await withImages();
    const id = rootOf(await kept(place));
    const removed = await place.images.remove(by === "name" ? "app:1" : id);
    expect(removed.untagged).toEqual(["docker.io/library/app:1"]);
    expect(removed.deleted).toHaveLength(3);
    expect(await place.images.list()).toEqual([]);
  }
});

test("a platform with a name of its own survives the index, without its siblings", async () => {
  const place = await withImages();
  const group = await kept(place);
  const [arm64] = group.members;
  if (arm64 === undefined) throw new Error("no member");
  const { root: _root, ...alone } = arm64.image;
  await place.images.tag("alone", alone);
  expect((await place.images.remove("app:1")).deleted).toHaveLength(2);
  const all = { store: place.store, snapshots: place.snapshots, roots: () => [] };
  await collectGarbage({ ...all, dangling: "remove" });
  expect(await collect(place.snapshots.list())).toHaveLength(1);
  expect((await place.images.find("alone"))?.id).toBe(arm64.image.id);
});

test("images count as here, and have their name, once what they stand on is safe", async () => {
  const place = await withImages();
  const old = rootOf(await kept(place));
  let succeed = (): void => undefined;
  const after = new Promise<void>((resolve) => (succeed = resolve));
  const keeping = place.images.keep(await prepared(place, ["arm"]), ["app:1"], { after });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await place.images.find("app:1"))?.root?.digest).toBe(old);
  succeed();
  const fresh = rootOf(await keeping);
  expect(fresh).not.toBe(old);
  expect((await place.images.find("app:1", platforms.arm))?.root?.digest).toBe(fresh);
});

test("a name keeps what it stood for when what the new images stand on is lost", async () => {
  const place = await withImages();
  const old = rootOf(await kept(place));
  const group = await prepared(place, ["arm"]);
  const after = Promise.reject(new Error("input/output error"));
  await expect(place.images.keep(group, ["app:1", "new:1"], { after })).rejects.toThrow(
    "input/output error",
  );
  expect((await place.images.find("app:1"))?.root?.digest).toBe(old);
  expect(await place.images.find("new:1")).toBeUndefined();
});

test("a disk that fails for all is told of, and not the document that failed with it", async () => {
  const place = await withImages();
  const group = await prepared(place, ["arm"]);
  vi.spyOn(place.store.blobs, "writeBytes").mockRejectedValue(new Error("write a document"));
  const after = Promise.reject(new Error("input/output error"));
  await expect(place.images.keep(group, ["app:1"], { after })).rejects.toThrow(
    "input/output error",
  );
});
