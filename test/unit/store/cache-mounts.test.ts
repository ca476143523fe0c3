import { spawn } from "node:child_process";
import { readFile, readdir, rmdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  cacheMountKey,
  type CacheSharing,
  type HeldCacheMount,
  type Store,
} from "../../../src/store/index.ts";
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
    expect(open.sort()).toEqual(["data", "key", "lock"]);
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

  const name = { id: "npm", mode: 0o700 };
  const key = cacheMountKey(name);
  const fillWith = (text: string) => async (directory: string) =>
    writeFile(join(directory, "f"), text);

  test("those that have a name are listed, with the time of their last use", async () => {
    const { store } = await withStore();
    const began = Date.now();
    const one = await take(store, { key, sharing: "private" });
    const two = await take(store, { key, sharing: "private" });
    await take(store, { key: "no name", sharing: "shared" });
    const listed = await store.cacheMounts.list();
    expect(listed.map((entry) => [entry.key, entry.name, entry.instance, entry.directory])).toEqual(
      [
        [key, name, 0, one.directory],
        [key, name, 1, two.directory],
      ],
    );
    // Filesystems count time in steps of some milliseconds.
    expect(listed[0]?.lastUsed).toBeGreaterThan(began - 1000);
    await store.cacheMounts.discard(key);
    expect(await store.cacheMounts.list()).toEqual([]);
  });

  test("one that an older version made has a name when it was used again", async () => {
    const { store } = await withStore();
    const first = await take(store, { key, sharing: "shared" });
    await first.release();
    await unlink(join(first.directory, "../key"));
    expect(await store.cacheMounts.list()).toEqual([]);
    await take(store, { key, sharing: "shared" });
    expect(await store.cacheMounts.list()).toMatchObject([{ key }]);
  });

  test("reading waits for whoever has it alone, and nobody who shares it waits for the reading", async () => {
    const { store } = await withStore();
    expect(await store.cacheMounts.read(key)).toBeUndefined();
    const alone = await take(store, { key, sharing: "locked" });
    const reading = store.cacheMounts.read(key);
    expect(await isSettled(reading)).toBe(false);
    await alone.release();
    const read = await reading;
    const user = await take(store, { key, sharing: "shared" });
    expect(user.directory).toBe(read?.directory);
    await read?.release();
  });

  test("replacing is at once and whole, and takes nothing from the present user", async () => {
    const { store } = await withStore();
    const user = await take(store, { key, sharing: "locked" });
    await writeFile(join(user.directory, "f"), "old");
    await store.cacheMounts.replace({ key, fill: fillWith("new") });
    const next = await take(store, { key, sharing: "locked" });
    expect(await readFile(join(next.directory, "f"), "utf8")).toBe("new");
    await next.release();
    const failing = store.cacheMounts.replace({
      key,
      fill: () => Promise.reject(new Error("no more")),
    });
    await expect(failing).rejects.toThrow("no more");
    const left = await take(store, { key, sharing: "locked" });
    expect(await readFile(join(left.directory, "f"), "utf8")).toBe("new");
  });

  test("of many that replace it at the same time one stays, whole", async () => {
    const { store } = await withStore();
    const replacing = Array.from({ length: 20 }, (_, index) =>
      store.cacheMounts.replace({ key, fill: fillWith(String(index)) }),
    );
    await Promise.all(replacing);
    const listed = await store.cacheMounts.list();
    expect(listed).toHaveLength(1);
    expect(await readFile(join(listed[0]?.directory ?? "", "f"), "utf8")).toMatch(/^\d+$/);
  });

  test("prune takes those that are wanted gone, and measure says how large one is", async () => {
    const { store } = await withStore();
    await store.cacheMounts.replace({ key, fill: fillWith("x".repeat(10_000)) });
    const other = cacheMountKey({ id: "apt" });
    await store.cacheMounts.replace({ key: other, fill: fillWith("") });
    const [first] = (await store.cacheMounts.list()).filter((entry) => entry.key === key);
    if (first === undefined) throw new Error("there is none");
    expect(await store.cacheMounts.measure(first)).toBeGreaterThanOrEqual(10_000);
    const pruned = await store.cacheMounts.prune({ wanted: (entry) => entry.name.id === "npm" });
    expect(pruned.removed).toBe(1);
    expect((await store.cacheMounts.list()).map((entry) => entry.key)).toEqual([other]);
  });
});
