import { spawn } from "node:child_process";
import { readFile, readdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { CacheSharing, HeldCacheMount, Store } from "../../../src/store/index.ts";
import { makeDeepTree } from "../../support/deep-tree.ts";
import { startStoreChild } from "../../support/store-child.ts";
import { withStore } from "../../support/with-store.ts";

const take = (
  store: Store,
  request: { readonly key?: string; readonly sharing: CacheSharing; readonly signal?: AbortSignal },
): Promise<HeldCacheMount> => {
  const taking = store.cacheMounts.acquire({ key: "k", fill: () => Promise.resolve(), ...request });
  onTestFinished(async () => {
    await taking.then(async (held) => held.release()).catch(() => undefined);
  });
  return taking;
};

const isSettled = async (work: Promise<unknown>): Promise<boolean> =>
  Promise.race([work.then(() => true), sleep(120).then(() => false)]);

describe("cache mounts", () => {
  test("what one user leaves the next one finds [3.32]", async () => {
    const { store } = await withStore();
    const first = await take(store, { sharing: "shared" });
    await writeFile(join(first.directory, "f"), "kept");
    await first.release();
    const next = await take(store, { sharing: "locked" });
    expect(await readFile(join(next.directory, "f"), "utf8")).toBe("kept");
    const other = await take(store, { key: "other", sharing: "shared" });
    expect(await readdir(other.directory)).toEqual([]);
  });

  test("a new one appears as a whole or not at all", async () => {
    const { store } = await withStore();
    const failing = store.cacheMounts.acquire({
      key: "k",
      sharing: "shared",
      fill: async (directory) => {
        await writeFile(join(directory, "half"), "");
        throw new Error("no more");
      },
    });
    await expect(failing).rejects.toThrow("no more");
    const held = await take(store, { sharing: "shared" });
    expect(await readdir(held.directory)).toEqual([]);
  });

  test("shared: all see one directory [3.33]", async () => {
    const { store } = await withStore();
    const [one, two] = await Promise.all([
      take(store, { sharing: "shared" }),
      take(store, { sharing: "shared" }),
    ]);
    expect(one.directory).toBe(two.directory);
  });

  test("private: a second user at the same time gets another; later the first is used again [3.33]", async () => {
    const { store } = await withStore();
    const one = await take(store, { sharing: "private" });
    await writeFile(join(one.directory, "f"), "");
    const two = await take(store, { sharing: "private" });
    expect(await readdir(two.directory)).toEqual([]);
    await two.release();
    await one.release();
    expect((await take(store, { sharing: "private" })).directory).toBe(one.directory);
  });

  test("locked: the second waits, and may give up [3.33]", async () => {
    const { store } = await withStore();
    const one = await take(store, { sharing: "locked" });
    const two = take(store, { sharing: "locked" });
    const abort = new AbortController();
    const three = take(store, { sharing: "locked", signal: abort.signal });
    expect(await isSettled(two)).toBe(false);
    abort.abort(new Error("enough"));
    await expect(three).rejects.toThrow("enough");
    await one.release();
    expect((await two).directory).toBe(one.directory);
  });

  test.each([
    ["locked", "locked", "waits"],
    ["shared", "locked", "waits"],
    ["locked", "shared", "gets another"],
    ["private", "private", "gets another"],
    ["shared", "shared", "gets the same"],
  ] as const)("beside another process with %s, %s %s [3.33]", async (theirs, ours, outcome) => {
    const { root, store } = await withStore();
    const before = await take(store, { sharing: "shared" });
    await before.release();
    const child = await startStoreChild(root);
    expect(await child.tell({ do: "cache", key: "k", sharing: theirs })).toBe("held");
    const taking = take(store, { sharing: ours });
    if (outcome === "waits") {
      expect(await isSettled(taking)).toBe(false);
      expect(await child.tell({ do: "release" })).toBe("done");
      expect((await taking).directory).toBe(before.directory);
      return;
    }
    const { directory } = await taking;
    expect(directory === before.directory).toBe(outcome === "gets the same");
  });

  test("the lock of a process that was killed is free at once [3.33]", async () => {
    const { root, store } = await withStore();
    const child = await startStoreChild(root);
    expect(await child.tell({ do: "cache", key: "k", sharing: "locked" })).toBe("held");
    const waiting = take(store, { sharing: "locked" });
    expect(await isSettled(waiting)).toBe(false);
    await child.kill();
    await waiting;
  });

  test.each(["locked", "private", "shared"] as const)(
    "%s: in use for as long as anybody has its lock open [3.33]",
    async (sharing) => {
      const { store } = await withStore();
      const held = await take(store, { sharing });
      const step = spawn("sleep", ["60"], { stdio: ["ignore", "ignore", "ignore", held.lock] });
      onTestFinished(() => void step.kill("SIGKILL"));
      await held.release();
      expect(await store.cacheMounts.usage()).toMatchObject({ total: 1, active: 1 });
      expect(await store.cacheMounts.prune()).toEqual({ removed: 0, bytes: 0 });
      const waiting = take(store, { sharing: "locked" });
      expect(await isSettled(waiting)).toBe(false);
      step.kill("SIGKILL");
      await waiting;
    },
  );

  test("discarding gives the next user a new one, and takes nothing from the present one [6.16]", async () => {
    const { store } = await withStore();
    const one = await take(store, { sharing: "shared" });
    await writeFile(join(one.directory, "f"), "mine");
    const open = await readdir(join(one.directory, ".."));
    expect(open.sort()).toEqual(["data", "lock"]);
    await store.cacheMounts.discard("k");
    const two = await take(store, { sharing: "shared" });
    expect(await readdir(two.directory)).toEqual([]);
    expect(await store.cacheMounts.usage()).toMatchObject({ total: 2, active: 2, size: 4 });
    await one.release();
    expect(await store.cacheMounts.prune()).toEqual({ removed: 1, bytes: 4 });
  });

  test("prune removes what nobody uses, here or elsewhere", async () => {
    const { root, store } = await withStore();
    expect(await store.cacheMounts.prune()).toEqual({ removed: 0, bytes: 0 });
    for (const key of ["a", "b"]) {
      const held = await take(store, { key, sharing: "shared" });
      await writeFile(join(held.directory, "f"), "12345");
      await held.release();
    }
    const child = await startStoreChild(root);
    await child.tell({ do: "cache", key: "a", sharing: "shared" });
    expect(await store.cacheMounts.usage()).toEqual({
      total: 2,
      active: 1,
      size: 10,
      reclaimable: 5,
    });
    expect(await store.cacheMounts.prune()).toEqual({ removed: 1, bytes: 5 });
    await child.kill();
    expect(await store.cacheMounts.prune()).toEqual({ removed: 1, bytes: 5 });
    expect(await readdir(join(root, "mounts-cache"))).toEqual([]);
  });

  test("df and prune take a cache that is a file, and one that is deeper than a path is long", async () => {
    const { root, store } = await withStore();
    const file = await take(store, { key: "file", sharing: "shared" });
    await rmdir(file.directory);
    await writeFile(file.directory, "12345");
    await file.release();
    const deep = await take(store, { key: "deep", sharing: "shared" });
    makeDeepTree(deep.directory);
    await deep.release();
    expect(await store.cacheMounts.usage()).toMatchObject({ total: 2 });
    expect(await store.cacheMounts.prune()).toMatchObject({ removed: 2 });
    expect(await readdir(join(root, "mounts-cache"))).toEqual([]);
  });

  test("prune takes no folder from under whoever is making a cache in it", async () => {
    const { store } = await withStore();
    let isOver = false;
    const pruning = (async () => {
      while (!isOver) await store.cacheMounts.prune();
    })();
    for (let round = 0; round < 40; round += 1) {
      const held = await take(store, { sharing: "locked" });
      await writeFile(join(held.directory, "f"), "");
      await held.release();
    }
    isOver = true;
    await pruning;
  });
});
