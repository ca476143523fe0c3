import { readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { copyGraph, serializeImageConfig } from "../../../src/image/index.ts";
import { type Digest, digestHex, digestOf } from "../../../src/core/index.ts";
import { imageConfig } from "../../support/image-maker.ts";
import { withImages } from "../../support/with-images.ts";

const configBytes = (label: string): Buffer =>
  serializeImageConfig({ ...imageConfig([]), config: { labels: { label } } });

test("a built image is found by name, without its tag, by ID and by a prefix of it", async () => {
  const { images } = await withImages();
  const created = await images.create(configBytes("a"), ["app:latest", "team/app:1.0"]);
  const { id } = created;
  expect(id).toBe(digestOf(configBytes("a")));
  const words = [
    "app",
    "app:latest",
    "docker.io/library/app",
    "team/app:1.0",
    id,
    digestHex(id),
    digestHex(id).slice(0, 12),
    id.slice(0, 9),
  ];
  for (const word of words)
    expect(await images.find(word), word).toMatchObject({ id, configBytes: configBytes("a") });
  for (const word of [
    "other",
    "app:2",
    "team/app",
    "a",
    "Not A Name",
    "",
    digestHex(digestOf("x")),
  ]) {
    expect(await images.find(word), word).toBeUndefined();
  }
});

test("a prefix of several IDs is ambiguous; a name wins over a prefix", async () => {
  const { images } = await withImages();
  const ids: Digest[] = [];
  // Among 60 images there are two that begin with the same two digits.
  for (let index = 0; index < 60; index++)
    ids.push((await images.create(configBytes(String(index)), [])).id);
  const prefixes = ids.map((id) => digestHex(id).slice(0, 2));
  const twice = prefixes.find((prefix, index) => prefixes.indexOf(prefix) < index) ?? "";
  await expect(images.find(twice)).rejects.toMatchObject({ code: "LOCAL_ID_AMBIGUOUS" });
  const named = await images.create(configBytes("named"), [twice]);
  expect(await images.find(twice)).toMatchObject({ id: named.id });
});

test("creating the same image again writes nothing", async () => {
  const { images, store } = await withImages();
  await images.create(configBytes("a"), ["app"]);
  const before = await store.names.list();
  await images.create(configBytes("a"), ["app"]);
  expect(await store.names.list()).toEqual(before);
});

test("a pulled image is found with its manifest, and by the digest its registry gave", async () => {
  const { images, registry } = await withImages();
  const made = await registry.addImage([{ a: "1" }]);
  const sink = images.sink({ fromRegistry: true });
  await copyGraph({ source: registry, sink, root: made.root });
  await sink.tag("127.0.0.1:5000/app:1", made.root);
  const byDigest = `127.0.0.1:5000/app@${made.root.digest}`;
  for (const word of ["127.0.0.1:5000/app:1", byDigest, made.config.digest]) {
    expect(await images.find(word)).toMatchObject({ id: made.config.digest, manifest: made.root });
  }
  expect(await images.find(`app@${made.root.digest}`)).toBeUndefined();
  expect(await images.list()).toMatchObject([
    { id: made.config.digest, names: ["127.0.0.1:5000/app:1"], repoDigests: [byDigest] },
  ]);
});

test("inside an index the platform chooses, and without one any image that is here does", async () => {
  const { images, registry } = await withImages();
  const arm = { os: "linux", architecture: "arm64" };
  const riscv = { os: "linux", architecture: "riscv64" };
  const s390x = { os: "linux", architecture: "s390x" };
  const one = await registry.addImage([{ a: "arm" }], { config: arm });
  const two = await registry.addImage([{ a: "riscv" }], { config: riscv });
  const absent = await registry.addImage([{ a: "s390x" }], { config: s390x });
  const root = registry.addIndex([
    { ...absent.root, platform: s390x },
    { ...two.root, platform: riscv },
    { ...one.root, platform: arm },
  ]);
  const sink = images.sink();
  for (const platform of [arm, riscv])
    await copyGraph({ source: registry, sink, root, platform, keepIndex: true });
  await sink.tag("multi", root);
  expect(await images.find("multi", arm)).toMatchObject({ id: one.config.digest, root });
  expect(await images.find("multi", riscv)).toMatchObject({ id: two.config.digest });
  expect(await images.find("multi", s390x)).toBeUndefined();
  expect((await images.find("multi"))?.id).toBe(
    process.arch === "arm64" ? one.config.digest : two.config.digest,
  );
  expect((await images.list()).map(({ names }) => names)).toEqual([
    ["docker.io/library/multi:latest"],
    ["docker.io/library/multi:latest"],
  ]);

  const image = await images.find("multi", riscv);
  if (image !== undefined) await images.tag("again:1", image);
  expect(await images.find("again:1", arm)).toMatchObject({ id: one.config.digest });
});

test("an image whose documents are gone or damaged is not here", async () => {
  const { images, store } = await withImages();
  const { id } = await images.create(configBytes("a"), ["app"]);
  await truncate(store.blobs.path(id), 10);
  expect(await images.find("app")).toBeUndefined();
  expect(await images.find(id)).toBeUndefined();
  expect(await images.list()).toEqual([]);
  await images.create(configBytes("a"), []);
  expect(await images.find("app")).toMatchObject({ id });
});

test("a damaged image record costs nothing but the way to the manifest", async () => {
  const { images, root } = await withImages();
  const { id } = await images.create(configBytes("a"), ["app"]);
  const folder = join(root, "images");
  expect(await readdir(folder)).toEqual([`${digestHex(id)}.json`]);
  await writeFile(join(folder, `${digestHex(id)}.json`), "{");
  expect(await images.find("app")).toMatchObject({ id });
  expect(await images.list()).toMatchObject([{ id, names: ["docker.io/library/app:latest"] }]);
});

test("adopting makes an image known without a name", async () => {
  const { images, registry } = await withImages();
  const made = await registry.addImage([{ a: "1" }]);
  await expect(images.adopt(made.root)).rejects.toMatchObject({ code: "LOCAL_IMAGE_NOT_FOUND" });
  await copyGraph({ source: registry, sink: images.sink(), root: made.root });
  expect(await images.adopt(made.root)).toMatchObject({
    id: made.config.digest,
    manifest: made.root,
  });
  expect(await images.list()).toMatchObject([{ id: made.config.digest, names: [] }]);
  expect(await images.find(made.config.digest)).toMatchObject({ manifest: made.root });
});

test("removing a name leaves the image to its other names, and removes it with the last", async () => {
  const { images } = await withImages();
  const { id } = await images.create(configBytes("a"), ["app:1", "app:2"]);
  expect(await images.remove("app:1")).toEqual({
    untagged: ["docker.io/library/app:1"],
    deleted: [],
  });
  expect(await images.find(id)).toBeDefined();
  expect(await images.remove("app:2")).toEqual({
    untagged: ["docker.io/library/app:2"],
    deleted: [id],
  });
  expect(await images.list()).toEqual([]);
  await expect(images.remove("app:2")).rejects.toMatchObject({ code: "LOCAL_IMAGE_NOT_FOUND" });
  await expect(images.remove(id)).rejects.toMatchObject({ code: "LOCAL_IMAGE_NOT_FOUND" });
});

test("removing by ID takes all names, several only by force", async () => {
  const { images } = await withImages();
  const { id } = await images.create(configBytes("a"), ["app:1", "app:2"]);
  await expect(images.remove(id)).rejects.toMatchObject({
    code: "LOCAL_IMAGE_HAS_NAMES",
    details: { names: ["docker.io/library/app:1", "docker.io/library/app:2"] },
  });
  expect((await images.remove(id, { force: true })).deleted).toEqual([id]);
  const dangling = await images.create(configBytes("b"), []);
  expect(await images.remove(digestHex(dangling.id).slice(0, 12))).toEqual({
    untagged: [],
    deleted: [dangling.id],
  });
});

test("a removal of many reads each document once, not once for each name", async () => {
  const { images, store } = await withImages();
  const names = Array.from({ length: 40 }, (_, at) => `app:${String(at)}`);
  const { id } = await images.create(configBytes("a"), names);
  const other = await images.create(configBytes("b"), ["other:1"]);
  const reads = vi.spyOn(store.blobs, "read");
  const lists = vi.spyOn(store.names, "list");
  const removal = images.openRemoval();
  const deleted = [];
  for (const name of names) deleted.push(...(await removal.remove(name)).deleted);
  expect(deleted).toEqual([id]);
  expect(reads.mock.calls).toHaveLength(names.length + 1);
  expect(lists).toHaveBeenCalledTimes(2);
  await expect(removal.remove("app:0")).rejects.toMatchObject({ code: "LOCAL_IMAGE_NOT_FOUND" });
  await expect(removal.remove(id)).rejects.toMatchObject({ code: "LOCAL_IMAGE_NOT_FOUND" });
  const short = digestHex(other.id).slice(0, 12);
  expect((await removal.remove(short)).untagged).toEqual(["docker.io/library/other:1"]);
  expect(await images.list()).toEqual([]);
});

test("who asks before an image goes is asked for the last name only, and nothing has gone then", async () => {
  const { images } = await withImages();
  const { id } = await images.create(configBytes("a"), ["app:1", "app:2"]);
  const mayGo = (image: Digest) => Promise.reject(new Error(`asked for ${image}`));
  const removal = images.openRemoval();
  expect((await removal.remove("app:1", { mayGo })).untagged).toHaveLength(1);
  await expect(removal.remove("app:2", { mayGo })).rejects.toThrow(`asked for ${id}`);
  expect((await images.find("app:2"))?.id).toBe(id);
});

test("an image that loses its name to another is dangling", async () => {
  const { images } = await withImages();
  const old = await images.create(configBytes("old"), ["app"]);
  const fresh = await images.create(configBytes("new"), ["app"]);
  const names = new Map((await images.list()).map((image) => [image.id, image.names]));
  expect(names).toEqual(
    new Map([
      [old.id, []],
      [fresh.id, ["docker.io/library/app:latest"]],
    ]),
  );
});

test("the size of an image is that of its layers, unpacked or as published", async () => {
  const { images, registry, snapshots } = await withImages();
  const layer = await snapshots.commitFiles(undefined, { hello: "world" });
  const config = imageConfig([layer.diffId]);
  const { id } = await images.create(serializeImageConfig(config), ["built"]);
  const made = await registry.addImage([{ a: "1" }]);
  await copyGraph({ source: registry, sink: images.sink(), root: made.root });
  await images.adopt(made.root);
  const sizes = new Map((await images.list()).map((image) => [image.id, image.size]));
  expect(sizes.get(id)).toBe(layer.tarSize);
  expect(sizes.get(made.config.digest)).toBe(made.layers[0]?.size);
});
