import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { digestOf } from "../../src/core/index.ts";
import { copyGraph, serializeImageConfig } from "../../src/image/index.ts";
import { toRootPath } from "../../src/layer/index.ts";
import { collectGarbage, openLocalImages } from "../../src/local/index.ts";
import { openSnapshotter, openTreeWriter } from "../../src/snapshot/index.ts";
import { collect } from "../support/collect.ts";
import { imageConfig, MadeContent } from "../support/image-maker.ts";
import { withStore } from "../support/with-store.ts";

const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };

/** Images over snapshots on disk. */
async function withDisk() {
  const { root, store } = await withStore();
  const snapshots = await openSnapshotter({
    directory: join(root, "snapshots"),
    tmpDir: store.tmpDir,
  });
  return { store, snapshots, images: openLocalImages({ store, snapshots }) };
}

test("a pulled image with a step on it is exported, collected around, and gone after its name", async (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip("overlayfs marks need root");
  const { store, snapshots, images } = await withDisk();
  const registry = new MadeContent();
  const made = await registry.addImage([{ "etc/base": "base" }, { "etc/more": "more" }]);
  await copyGraph({ source: registry, sink: images.sink(), root: made.root });
  const base = await images.adopt(made.root);
  const parent = await images.ensureUnpacked(base);

  const active = await snapshots.prepare(parent);
  const writer = openTreeWriter(active);
  await writer.file(toRootPath("srv/app"), attributes, Buffer.from("app"));
  await writer.finish();
  const step = await snapshots.commit(active);
  const config = serializeImageConfig(imageConfig([...made.diffIds, step.diffId]));
  const image = await images.create(config, ["app"], { base: base.id });
  const stray = await snapshots.prepare(step.chainId);
  const strayWriter = openTreeWriter(stray);
  await strayWriter.file(toRootPath("stray"), attributes, Buffer.from("stray"));
  await strayWriter.finish();
  await snapshots.commit(stray);

  const gc = async () => collectGarbage({ store, snapshots, roots: () => [] });
  expect(await gc()).toMatchObject({ type: "done" });
  expect(await collect(snapshots.list())).toHaveLength(3);

  for (const compression of ["none", "gzip"] as const) {
    const { root, source } = await images.exportImage(image, { compression, reuse: false });
    const other = await withDisk();
    await copyGraph({ source, sink: other.images.sink(), root });
    const copy = await other.images.adopt(root);
    const top = await other.images.ensureUnpacked(copy);
    const file = await (await other.snapshots.tree(top)).openFile(toRootPath("srv/app"));
    expect(file.size).toBe(3);
    await file.close();
  }

  await images.remove("app");
  await images.remove(base.id);
  expect(await gc()).toMatchObject({ type: "done" });
  expect(await collect(snapshots.list())).toEqual([]);
  expect(await collect(store.blobs.list())).toEqual([]);
});

test("the tar of a step comes out of its snapshot with the digest it was committed under", async (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip("overlayfs marks need root");
  const { snapshots, images } = await withDisk();
  const active = await snapshots.prepare(undefined);
  const writer = openTreeWriter(active);
  await writer.directory(toRootPath("d"), { ...attributes, mode: 0o755 });
  await writer.file(toRootPath("d/a"), attributes, Buffer.alloc(300_000, "x"));
  await writer.symlink(toRootPath("d/link"), attributes, Buffer.from("/absolute"));
  await writer.finish();
  const { diffId, tarSize } = await snapshots.commit(active);
  const image = await images.create(serializeImageConfig(imageConfig([diffId])), []);
  const { source } = await images.exportImage(image, { compression: "none", reuse: false });
  const tar = await buffer(await source.fetch({ mediaType: "", digest: diffId, size: tarSize }));
  expect(tar).toHaveLength(tarSize);
  expect(digestOf(tar)).toBe(diffId);
});
