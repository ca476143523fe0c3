import { randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, test, vi } from "vitest";
import { digestOf, TsbuildError } from "../../../src/core/index.ts";
import { PartialBlobs } from "../../../src/store/partial-blobs.ts";
import type { Store } from "../../../src/store/index.ts";
import { failureOf } from "../../support/expect-code.ts";
import { withStore } from "../../support/with-store.ts";

const bytes = randomBytes(3_000_000);
const digest = digestOf(bytes);
const expected = { digest, size: bytes.length };

/** Writes only so many bytes of the blob, then the content fails. */
async function breakOff(store: Store, after: number, code = "REGISTRY_UNREACHABLE") {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(bytes.subarray(0, after));
    // What is still on its way to the disk goes with the failure.
    await vi.waitUntil(async () => (await sizeInProgress(store)) === after, { timeout: 60_000 });
    throw new TsbuildError({ code, message: "broken" });
  }
  const content = Readable.from(chunks(), { objectMode: false });
  return failureOf(store.blobs.write(content, expected));
}

async function sizeInProgress({ tmpDir }: Store): Promise<number> {
  const name = (await readdir(tmpDir)).find((each) => each.startsWith("blob-"));
  return name === undefined ? 0 : (await stat(join(tmpDir, name))).size;
}

test("a beginning is kept, and is the one's who takes it [R4.18]", async () => {
  const { root, store } = await withStore();
  expect((await breakOff(store, 2_000_000)).code).toBe("REGISTRY_UNREACHABLE");
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
  const kept = await store.blobs.takePartial(digest);
  expect(await store.blobs.takePartial(digest)).toBeUndefined();
  expect(kept?.size).toBe(2_000_000);
  const content = await buffer(kept?.content ?? Readable.from([]));
  expect(content.equals(bytes.subarray(0, 2_000_000))).toBe(true);
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
  expect(await readdir(join(root, "partial"))).toEqual([]);
});

test("the longer of two beginnings is kept [R4.18]", async () => {
  const { store } = await withStore();
  for (const after of [1_500_000, 2_500_000, 2_000_000]) await breakOff(store, after);
  const kept = await store.blobs.takePartial(digest);
  kept?.content.destroy();
  expect(kept?.size).toBe(2_500_000);
});

test.each([
  ["shorter than a MiB", 1_000_000, "REGISTRY_UNREACHABLE"],
  ["wrong", 2_000_000, "DIGEST_MISMATCH"],
  ["too much for the disk", 2_000_000, "DISK_FULL"],
  ["refused in a way that another try meets too", 2_000_000, "REGISTRY_DENIED"],
])("what is %s is not kept [R4.18]", async (_what, after, code) => {
  const { store } = await withStore();
  await breakOff(store, after, code);
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
  expect(await store.blobs.takePartial(digest)).toBeUndefined();
});

test("a blob that is whole leaves no beginning [R4.18]", async () => {
  const { root, store } = await withStore();
  await breakOff(store, 2_000_000);
  await store.blobs.write(Readable.from([bytes]), expected);
  expect(await readdir(join(root, "partial"))).toEqual([]);
  await breakOff(store, 2_000_000);
  expect(await readdir(join(root, "partial"))).toEqual([]);
  expect(await readdir(store.tmpDir)).toEqual(["lock"]);
});

test("a dead process' folder that another one removes holds nothing to keep [R4.18]", async () => {
  const { root, store } = await withStore();
  const { tmpDir } = store;
  const partial = new PartialBlobs({ directory: join(root, "partial"), tmpDir, blobs: root });
  await expect(partial.rescue(join(root, "tmp", "gone"))).resolves.toBeUndefined();
});

test("what is left is removed and counted [R4.18]", async () => {
  const { store } = await withStore();
  expect(await store.blobs.clearPartial()).toEqual({ removed: 0, bytes: 0 });
  await breakOff(store, 2_000_000);
  expect(await store.blobs.partialSize()).toBe(2_000_000);
  expect(await store.blobs.clearPartial()).toEqual({ removed: 1, bytes: 2_000_000 });
  expect(await store.blobs.partialSize()).toBe(0);
  expect(await store.blobs.takePartial(digest)).toBeUndefined();
});
