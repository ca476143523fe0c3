import { readdirSync } from "node:fs";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Clock, digestOf, diffId } from "../../../src/core/index.ts";
import type { Descriptor } from "../../../src/image/index.ts";
import { collect } from "../../support/collect.ts";
import { withStore } from "../../support/with-store.ts";

const descriptor = (text: string): Descriptor => ({
  mediaType: "application/vnd.oci.image.config.v1+json",
  digest: digestOf(text),
  size: text.length,
});
const name = "docker.io/library/app:1.0";

test("a name stands for its descriptor until it is removed", async () => {
  const { store } = await withStore();
  expect(await store.names.get(name)).toBeUndefined();
  await store.names.set({ name, descriptor: descriptor("one"), repoDigest: digestOf("m") });
  expect(await store.names.get(name)).toMatchObject({
    name,
    descriptor: descriptor("one"),
    repoDigest: digestOf("m"),
  });
  expect(await store.names.remove(name)).toBe(true);
  expect(await store.names.remove(name)).toBe(false);
  expect(await store.names.list()).toEqual([]);
});

test("names of any length and with any characters are kept apart and listed in order", async () => {
  const { store } = await withStore();
  const long = `127.0.0.1:5000/${"a/".repeat(120)}b`;
  const names = [
    `${long}:1`,
    `${long}:2`,
    "a/../b:1",
    "b%2F:1",
    "..",
    ".hidden",
    "~x",
    "é:1",
    name,
  ];
  for (const each of names) await store.names.set({ name: each, descriptor: descriptor(each) });
  for (const each of names) {
    expect((await store.names.get(each))?.descriptor).toEqual(descriptor(each));
  }
  expect((await store.names.list()).map((record) => record.name)).toEqual([...names].sort());
  expect(await readdir(join(store.root, "names"))).toHaveLength(names.length);
});

test("setting a name to what it is changes nothing", async () => {
  let now = 0;
  const clock: Clock = { now: () => new Date((now += 1000)) };
  const { store } = await withStore({ clock });
  await store.names.set({ name, descriptor: descriptor("one") });
  const before = await store.names.get(name);
  await store.names.set({ name, descriptor: descriptor("one") });
  expect(await store.names.get(name)).toEqual(before);
  await store.names.set({ name, descriptor: descriptor("two") });
  expect((await store.names.get(name))?.updated).not.toBe(before?.updated);
});

test("a half-written or foreign name file is no name, and can be replaced", async () => {
  const { store, root } = await withStore();
  await store.names.set({ name, descriptor: descriptor("one") });
  const file = join(root, "names", (await readdir(join(root, "names")))[0] ?? "");
  const whole = await readFile(file, "utf8");
  for (const damage of [
    "",
    whole.slice(0, 40),
    "[]",
    "null",
    whole.replace("1.0", "2.0"),
    '{"name":1}',
  ]) {
    await writeFile(file, damage);
    expect(await store.names.get(name)).toBeUndefined();
    expect(await store.names.list()).toEqual([]);
  }
  await store.names.set({ name, descriptor: descriptor("two") });
  expect((await store.names.get(name))?.descriptor).toEqual(descriptor("two"));
});

test("blobs of a layer are added and forgotten one by one", async () => {
  const { store, root } = await withStore();
  const layer = diffId(digestOf("tar"));
  expect(await store.layerBlobs.get(layer)).toEqual([]);
  await Promise.all([
    store.layerBlobs.add(layer, descriptor("gzip")),
    store.layerBlobs.add(layer, descriptor("zstd")),
    store.layerBlobs.add(layer, descriptor("gzip")),
  ]);
  expect(new Set(await store.layerBlobs.get(layer))).toEqual(
    new Set([descriptor("gzip"), descriptor("zstd")]),
  );
  expect(await collect(store.layerBlobs.list())).toEqual([layer]);
  await store.layerBlobs.remove(layer, descriptor("zstd").digest);
  expect(await store.layerBlobs.get(layer)).toEqual([descriptor("gzip")]);
  const folder = join(root, "layer-blobs", layer.replace(":", "-"));
  await truncate(join(folder, (await readdir(folder))[0] ?? ""), 10);
  expect(await store.layerBlobs.get(layer)).toEqual([]);
  await store.layerBlobs.remove(layer);
  await store.layerBlobs.remove(layer);
  expect(await collect(store.layerBlobs.list())).toEqual([]);
});

test("levels that gave a blob stay known, whoever adds it, and what is no level is none", async () => {
  const { store, root } = await withStore();
  const layer = diffId(digestOf("leveled"));
  const blob = descriptor("gzip");
  await store.layerBlobs.add(layer, blob);
  expect(await store.layerBlobs.get(layer)).toEqual([blob]);
  await store.layerBlobs.add(layer, { ...blob, levels: ["own"] });
  await store.layerBlobs.add(layer, { ...blob, levels: [9, "own"] });
  await store.layerBlobs.add(layer, blob);
  expect(await store.layerBlobs.get(layer)).toEqual([{ ...blob, levels: ["own", 9] }]);
  const folder = join(root, "layer-blobs", layer.replace(":", "-"));
  const [file = ""] = await readdir(folder);
  for (const levels of ["9", {}, [null, "best"]]) {
    await writeFile(join(folder, file), JSON.stringify({ ...blob, levels }));
    expect(await store.layerBlobs.get(layer)).toEqual([blob]);
  }
});

test("what is written while somebody waits for a sync of all is durable with that", async () => {
  const { store } = await withStore();
  const all = store.sync();
  const set = store.names.set({ name, descriptor: descriptor("one") });
  const written = store.blobs.writeBytes(Buffer.from("one"));
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  // Both are written, and neither is there before it is safe.
  expect(readdirSync(store.tmpDir).filter((file) => file.startsWith("write-"))).toHaveLength(2);
  expect(readdirSync(join(store.root, "names"))).toEqual([]);
  expect(await store.blobs.size(digestOf("one"))).toBeUndefined();
  await all;
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  // Without another sync, also where these are the first ones.
  expect(await store.blobs.size(digestOf("one"))).toBe(3);
  await Promise.all([set, written]);
  expect(await store.names.get(name)).toMatchObject({ descriptor: descriptor("one") });
});
