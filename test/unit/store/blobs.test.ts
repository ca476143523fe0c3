import fs from "node:fs";
import { readdir, truncate, writeFile, appendFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { digestOf, type Digest } from "../../../src/core/index.ts";
import { collect } from "../../support/collect.ts";
import { withStore } from "../../support/with-store.ts";

const hello = Buffer.from("hello");

test("a blob comes back whole, with its size, and is listed", async () => {
  const { store } = await withStore();
  const written = await store.blobs.write(Readable.from([Buffer.from("hel"), Buffer.from("lo")]));
  expect(written).toEqual({ digest: digestOf("hello"), size: 5 });
  expect(await text(await store.blobs.open(written.digest))).toBe("hello");
  expect(await store.blobs.read(written.digest)).toEqual(hello);
  expect(await store.blobs.size(written.digest)).toBe(5);
  expect(await store.blobs.has(written.digest)).toBe(true);
  expect(await collect(store.blobs.list())).toEqual([written]);
});

test("writing the same blob twice is success", async () => {
  const { store } = await withStore();
  const first = await store.blobs.writeBytes(hello);
  expect(await store.blobs.writeBytes(hello)).toEqual(first);
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
});

test("sha512 blobs have a folder of their own", async () => {
  const { store } = await withStore();
  const digest = `sha512:${"9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"}`;
  await store.blobs.write(Readable.from([hello]), { digest: digest as Digest });
  expect(await store.blobs.read(digest as Digest)).toEqual(hello);
  expect(await collect(store.blobs.list())).toEqual([{ digest, size: 5 }]);
});

test("content with another digest or size than promised is refused and leaves nothing", async () => {
  const { store } = await withStore();
  const write = async (content: string, size?: number): Promise<unknown> =>
    store.blobs.write(Readable.from([Buffer.from(content)]), {
      digest: digestOf("hello"),
      ...(size === undefined ? {} : { size }),
    });
  await expect(write("jello")).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
  await expect(write("hell", 5)).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
  await expect(write("hello, world", 5)).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
  expect(await store.blobs.has(digestOf("hello"))).toBe(false);
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
  expect(await write("hello", 5)).toEqual({ digest: digestOf("hello"), size: 5 });
});

test("a write that fails before its file is open leaves nothing when it says so", async () => {
  const { store } = await withStore();
  const { open } = fs;
  const late = vi.spyOn(fs, "open").mockImplementation((...args: Parameters<typeof open>) => {
    setTimeout(() => open(...args), 50);
  });
  try {
    const write = store.blobs.write(Readable.from([hello]), undefined, AbortSignal.abort());
    await expect(write).rejects.toMatchObject({ name: "AbortError" });
    expect(late).toHaveBeenCalledOnce();
    await sleep(100);
    expect(await readdir(store.tmpDir)).toEqual(["lock"]);
  } finally {
    late.mockRestore();
  }
});

test("a write whose content fails or is canceled leaves nothing", async () => {
  const { store } = await withStore();
  const abort = new AbortController();
  const endless = Readable.from(
    (async function* () {
      for (;;) {
        yield hello;
        await sleep(1);
      }
    })(),
  );
  const writing = store.blobs.write(endless, undefined, abort.signal);
  setTimeout(() => abort.abort(), 20);
  await expect(writing).rejects.toMatchObject({ name: "AbortError" });
  expect(endless.destroyed).toBe(true);

  const broken = Readable.from(
    (async function* (): AsyncGenerator<Buffer> {
      await sleep(1);
      throw new Error("line went dead");
    })(),
  );
  await expect(store.blobs.write(broken)).rejects.toThrow("line went dead");
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
});

test("what is missing, damaged or too large is told by code", async () => {
  const { store } = await withStore();
  const absent = digestOf("absent");
  expect(await store.blobs.has(absent)).toBe(false);
  expect(await store.blobs.size(absent)).toBeUndefined();
  await expect(store.blobs.open(absent)).rejects.toMatchObject({ code: "STORE_BLOB_NOT_FOUND" });
  await expect(store.blobs.read(absent)).rejects.toMatchObject({ code: "STORE_BLOB_NOT_FOUND" });

  const { digest } = await store.blobs.writeBytes(hello);
  await expect(store.blobs.read(digest, 4)).rejects.toMatchObject({ code: "STORE_BLOB_TOO_LARGE" });
  await truncate(store.blobs.path(digest), 2);
  await expect(store.blobs.read(digest)).rejects.toMatchObject({
    code: "STORE_BLOB_NOT_FOUND",
    details: { reason: "damaged" },
  });
  await store.blobs.writeBytes(hello);
  expect(await store.blobs.read(digest)).toEqual(hello);
});

test("removing is idempotent, and foreign files are no blobs", async () => {
  const { store } = await withStore();
  const { digest } = await store.blobs.writeBytes(hello);
  await writeFile(`${store.blobs.path(digest)}.bak`, "x");
  await store.blobs.remove(digest);
  await store.blobs.remove(digest);
  expect(await collect(store.blobs.list())).toEqual([]);
  await appendFile(`${store.blobs.path(digest)}.bak`, "still there");
});
