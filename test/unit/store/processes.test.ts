import { mkdir, open, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { digestOf, loadSyscalls } from "../../../src/core/index.ts";
import { startStoreChild } from "../../support/store-child.ts";
import { collect } from "../../support/collect.ts";
import { withStore } from "../../support/with-store.ts";

const tmpNames = async (root: string): Promise<readonly string[]> => readdir(join(root, "tmp"));

test("dead processes are told from live ones and swept, with all that lies in their folder", async () => {
  const { root, store } = await withStore();
  const [alive, dead] = [await startStoreChild(root), await startStoreChild(root)];
  await mkdir(join(dead.tmpDir, "snapshot/fs/etc"), { recursive: true });
  await writeFile(join(dead.tmpDir, "snapshot/fs/etc/passwd"), "x");
  await dead.kill();
  expect(await store.sweep()).toEqual({ removed: [basename(dead.tmpDir)], failures: [] });
  expect(new Set(await tmpNames(root))).toEqual(
    new Set([basename(alive.tmpDir), basename(store.tmpDir)]),
  );
});

test("a stopped process is alive", async () => {
  const { root, store } = await withStore();
  const child = await startStoreChild(root);
  const pid = Number(basename(child.tmpDir).split("-")[0]);
  process.kill(pid, "SIGSTOP");
  expect((await store.sweep()).removed).toEqual([]);
});

test("opening sweeps without being asked", async () => {
  const { root } = await withStore();
  const dead = await startStoreChild(root);
  await dead.kill();
  await withStore({ root });
  await expect.poll(async () => tmpNames(root)).not.toContain(basename(dead.tmpDir));
});

test("what has no lock goes only when it is an hour old, foreign folders never", async () => {
  const { root, store } = await withStore();
  const make = async (name: string, age: number): Promise<void> => {
    const path = join(root, "tmp", name);
    await (name.startsWith("write") ? writeFile(path, "{}") : mkdir(path));
    const time = Date.now() / 1000 - age;
    await utimes(join(root, "tmp", name), time, time);
  };
  await make("new-0000000000000001", 10);
  await make("new-0000000000000002", 4000);
  await make("77-0000000000000003", 10);
  await make("77-0000000000000004", 4000);
  await make("old-0000000000000005", 0);
  // What the making of a root had not finished.
  await make("write-0000000000000006", 10);
  await make("write-0000000000000007", 4000);
  await make("mine", 1e6);
  const { removed } = await store.sweep();
  expect([...removed].sort()).toEqual([
    "77-0000000000000004",
    "new-0000000000000002",
    "old-0000000000000005",
    "write-0000000000000007",
  ]);
});

test("where a lock is a file under flock, who holds it is alive and who does not is dead", async () => {
  const { root, store } = await withStore();
  const { flock } = await loadSyscalls();
  const handles = [];
  for (const name of ["77-0000000000000001", "77-0000000000000002"]) {
    await mkdir(join(root, "tmp", name));
    handles.push(await open(join(root, "tmp", name, "lock"), "wx"));
  }
  const [held, free] = handles;
  await flock(held?.fd ?? -1, { exclusive: true, nonBlocking: true });
  await free?.close();
  expect((await store.sweep()).removed).toEqual(["77-0000000000000002"]);
  await held?.close();
  expect((await store.sweep()).removed).toEqual(["77-0000000000000001"]);
});

test("kill -9 in the middle of a write leaves no blob, and the next sweep takes the half one", async () => {
  const { root, store } = await withStore();
  const child = await startStoreChild(root);
  void child.tell({ do: "write-forever" });
  await expect
    .poll(async () => readdir(child.tmpDir))
    .toContainEqual(expect.stringMatching(/^blob-/));
  await child.kill();
  expect(await collect(store.blobs.list())).toEqual([]);
  await store.sweep();
  expect(await tmpNames(root)).toEqual([basename(store.tmpDir)]);
});

test("two processes write the same blob: both succeed", async () => {
  const { root, store } = await withStore();
  const children = [await startStoreChild(root), await startStoreChild(root)];
  const answers = children.map(async (child) =>
    child.tell({ do: "write-blob", text: "same", times: 30 }),
  );
  expect(await Promise.all(answers)).toEqual(["done", "done"]);
  expect(await store.blobs.read(digestOf("same"))).toEqual(Buffer.from("same"));
});

test("a name that two processes write always stands for one whole blob, also after kill -9", async () => {
  const { root, store } = await withStore();
  const children = [await startStoreChild(root), await startStoreChild(root)];
  for (const child of children) {
    void child.tell({
      do: "set-names",
      name: "app",
      texts: ["one", "two", "three"],
      times: 10_000,
    });
  }
  await expect.poll(async () => store.names.get("app")).toBeDefined();
  const check = async (): Promise<void> => {
    const record = await store.names.get("app");
    if (record === undefined) throw new Error("the name went away");
    const content = (await store.blobs.read(record.descriptor.digest)).toString();
    expect(["one", "two", "three"]).toContain(content);
  };
  for (let turn = 0; turn < 50; turn++) await check();
  await Promise.all(children.map(async (child) => child.kill()));
  await check();
});

test("gc takes the lock when nobody is protected, else defers without waiting", async () => {
  const { root, store } = await withStore();
  const child = await startStoreChild(root);
  expect(await store.tryExclusive(async () => "mine")).toBe("mine");
  expect(await child.tell({ do: "protect" })).toBe("held");
  expect(await store.tryExclusive(async () => "mine")).toBeUndefined();
  expect(await store.protect(async () => "together")).toBe("together");
  await child.tell({ do: "release" });
  expect(await store.tryExclusive(async () => "mine")).toBe("mine");
});

test("protection waits for a gc in another process, and can be aborted", async () => {
  const { root, store } = await withStore();
  const child = await startStoreChild(root);
  expect(await child.tell({ do: "exclusive" })).toBe("held");
  await expect(store.protect(async () => "in", AbortSignal.timeout(60))).rejects.toMatchObject({
    name: "TimeoutError",
  });
  expect(await store.tryExclusive(async () => "second gc")).toBeUndefined();
  let isIn = false;
  const entering = store.protect(async () => (isIn = true));
  expect(isIn).toBe(false);
  await child.tell({ do: "release" });
  expect(await entering).toBe(true);
});

test("marks of a process that was killed hold nobody up", async () => {
  const { root, store } = await withStore();
  const [user, gc] = [await startStoreChild(root), await startStoreChild(root)];
  await user.tell({ do: "protect" });
  await user.kill();
  expect(await store.tryExclusive(async () => "mine")).toBe("mine");
  await gc.tell({ do: "exclusive" });
  await gc.kill();
  expect(await store.protect(async () => "in")).toBe("in");
});

test("inside one process protection nests, and keeps gc away until the last has left", async () => {
  const { store } = await withStore();
  await store.protect(async () => {
    await store.protect(async () => undefined);
    expect(await store.tryExclusive(async () => "mine")).toBeUndefined();
  });
  const order: string[] = [];
  await Promise.all([
    store.tryExclusive(async () => {
      order.push("gc");
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push("gc ends");
    }),
    store.protect(async () => order.push("build")),
  ]);
  expect(order).toEqual(["gc", "gc ends", "build"]);
});

test("of many that come and go, gc never runs beside a user", async () => {
  const { root, store } = await withStore();
  const { store: other } = await withStore({ root });
  const turns = (count: number): Promise<unknown> =>
    Array.from({ length: count }).reduce<Promise<unknown>>(
      (before) => before.then(async () => new Promise((resolve) => setImmediate(resolve))),
      Promise.resolve(),
    );
  let users = 0;
  let collections = 0;
  const use = async (turn: number): Promise<void> => {
    await other.protect(async () => {
      users += 1;
      await turns(turn % 5);
      users -= 1;
    });
    await turns((turn * 7) % 40);
  };
  const collectOnce = async (): Promise<void> => {
    await store.tryExclusive(async () => {
      const seen = [users];
      await turns(3);
      seen.push(users);
      expect(seen).toEqual([0, 0]);
      collections += 1;
    });
    await turns(1);
  };
  const repeat = async (work: (turn: number) => Promise<void>, count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) await work(turn);
  };
  await Promise.all([repeat(use, 40), repeat(use, 25), repeat(collectOnce, 60)]);
  await collectOnce();
  expect(collections).toBeGreaterThan(0);
});

test("a named lock is held by one process at a time and freed by kill -9", async () => {
  const { root, store } = await withStore();
  const child = await startStoreChild(root);
  expect(await child.tell({ do: "lock", name: "cache mount/npm" })).toBe("held");
  const wait = store.withLock("cache mount/npm", async () => "mine", AbortSignal.timeout(100));
  await expect(wait).rejects.toMatchObject({ name: "TimeoutError" });
  expect(await store.withLock("other", async () => "free")).toBe("free");
  await child.kill();
  expect(await store.withLock("cache mount/npm", async () => "mine")).toBe("mine");
  expect(await readdir(join(root, "locks"))).toEqual([]);
});

test("named locks exclude each other inside one process and across many", async () => {
  const { root, store } = await withStore();
  const { store: other } = await withStore({ root });
  const file = join(root, "counter");
  await writeFile(file, "0");
  const count = async (): Promise<void> => {
    const now = Number(await readFile(file, "utf8"));
    await new Promise((resolve) => setImmediate(resolve));
    await writeFile(file, String(now + 1));
  };
  const turns = Array.from({ length: 40 }, async (_, turn) =>
    (turn % 2 === 0 ? store : other).withLock("count", count),
  );
  await Promise.all(turns);
  expect(await readFile(file, "utf8")).toBe("40");
});
