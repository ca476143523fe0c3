import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { digestOf, digestOfJson } from "../../src/core/index.ts";
import { openLocalCache } from "../../src/cache/index.ts";
import { openStore } from "../../src/store/index.ts";
import { cacheContent, cacheKey } from "../contract/cache-contract.ts";
import { collect } from "../support/collect.ts";
import { smallDisk } from "../support/small-disk.ts";
import { withStore } from "../support/with-store.ts";

const run = promisify(execFile);

const megabytes = (count: number): Readable =>
  Readable.from(Array.from({ length: count }, (_, index) => Buffer.alloc(1024 * 1024, index)));

test("a full disk is told as such and leaves the store usable", async (ctx) => {
  const root = await smallDisk(ctx, 8 * 1024 * 1024);
  const { store } = await withStore({ root });
  const kept = await store.blobs.write(megabytes(3));
  await expect(store.blobs.write(megabytes(12))).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
  expect(await collect(store.blobs.list())).toEqual([kept]);
  const { digest, size } = await store.blobs.write(megabytes(4));
  await store.names.set({ name: "app", descriptor: { mediaType: "text/plain", digest, size } });
  expect(await store.names.get("app")).toMatchObject({ descriptor: { digest } });
});

test("names and records on a full disk fail whole: what was there stays", async (ctx) => {
  const root = await smallDisk(ctx, 2 * 1024 * 1024);
  const { store } = await withStore({ root });
  const cache = openLocalCache({ directory: root, tmpDir: store.tmpDir });
  const object = cacheKey("RUN make");
  const descriptor = { mediaType: "text/plain", digest: digestOf("one"), size: 3 };
  await store.names.set({ name: "app", descriptor });
  await cache.store(digestOfJson(object), object, cacheContent("a"));
  await fillDisk(root);

  const other = { ...descriptor, digest: digestOf("two") };
  await expect(store.names.set({ name: "app", descriptor: other })).rejects.toMatchObject({
    code: "DISK_FULL",
  });
  await expect(cache.store(digestOfJson(object), object, cacheContent("b"))).rejects.toMatchObject({
    code: "DISK_FULL",
  });
  expect(await store.names.get("app")).toMatchObject({ descriptor });
  expect(await cache.lookup(digestOfJson(object))).toMatchObject(cacheContent("a"));
  await expect(store.protect(async () => "still works")).resolves.toBe("still works");
});

test("a root on a full disk cannot be made, and says why", async (ctx) => {
  const root = await smallDisk(ctx, 64 * 1024);
  await fillDisk(root);
  await expect(openStore({ root })).rejects.toMatchObject({ code: "DISK_FULL" });
});

async function fillDisk(folder: string): Promise<void> {
  await run("sh", ["-c", `head -c 100M /dev/zero > ${folder}/filler || true`]);
}
