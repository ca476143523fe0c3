import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { importMounts, onlyPresent } from "../../../src/cache-mounts/index.ts";
import { readMountSet } from "../../../src/cache-mounts/mount-set.ts";
import type { MountSet } from "../../../src/cache-mounts/types.ts";
import { loadSyscalls } from "../../../src/core/index.ts";
import { describeTree, exportTo, keyOf, noise, putFiles } from "../../support/cache-trees.ts";
import { expectCode, failureOf } from "../../support/expect-code.ts";
import { MemoryPlace } from "../../support/memory-place.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { withStore } from "../../support/with-store.ts";

const signal = new AbortController().signal;

async function setup() {
  const { store } = await withStore();
  const cache = join(store.tmpDir, "cache");
  mkdirSync(cache);
  return { store, cache, place: new MemoryPlace(), tmpDir: store.tmpDir };
}

async function readBack(place: MemoryPlace): Promise<MountSet> {
  const root = await place.resolve("c");
  if (root === undefined) throw new Error("nothing was exported");
  return readMountSet({ source: place, root });
}

/** Imports all and gives the directory of a mount. */
async function importFrom(place: MemoryPlace, id = "npm"): Promise<string> {
  const { store } = await withStore();
  const set = await readBack(place);
  const { cacheMounts, tmpDir } = store;
  await importMounts({
    set,
    mounts: set.mounts,
    source: place,
    store: cacheMounts,
    tmpDir,
    signal,
  });
  const [found] = (await cacheMounts.list()).filter(({ name }) => name.id === id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found.directory;
}

test("what this machine's disk refuses has a code and a place", async () => {
  const { store, cache, place, tmpDir } = await setup();
  putFiles(cache, { "a/b": "c" });
  await exportTo(place, { npm: cache }, { tmpDir });
  const set = await readBack(place);
  const importWith = (request: { tmpDir: string; replace?: () => Promise<void> }) => {
    const { replace = store.cacheMounts.replace } = request;
    return importMounts({
      ...{ set, mounts: set.mounts, source: place, signal, tmpDir: request.tmpDir },
      store: { ...store.cacheMounts, replace },
    });
  };
  const file = join(cache, "a/b");
  const refused = await failureOf(importWith({ tmpDir: file }));
  expect(refused).toMatchObject({
    code: "CACHE_MOUNTS_NOT_WRITTEN",
    details: { errno: "ENOTDIR" },
  });
  expect(refused.message).toContain(`${file}/packs-`);
  expect(refused.hint).toBeDefined();
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC", path: "/cache/x" });
  const replace = (): Promise<void> => Promise.reject(full);
  const failure = await failureOf(importWith({ tmpDir, replace }));
  expect(failure).toMatchObject({ code: "DISK_FULL", details: { path: "/cache/x" } });
});

describe("a cache that travels", () => {
  test("is the same elsewhere: names, modes, times, links, holes in names of any bytes", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { "a/b/c.txt": "c", "a/large": noise(3_000_000, 1), empty: "" });
    mkdirSync(Buffer.concat([Buffer.from(`${cache}/`), Buffer.from([0xff, 0x20, 0x0a])]));
    putFiles(cache, {
      "a/.wh.kept": "a name like any other",
      [`deep/${"x".repeat(200)}/${"y".repeat(200)}`]: "y",
    });
    linkSync(join(cache, "a/b/c.txt"), join(cache, "a/second"));
    symlinkSync("/etc/passwd", join(cache, "a/b/absolute"));
    symlinkSync("../../..", join(cache, "a/b/up"));
    execFileSync("mkfifo", ["-m", "640", join(cache, "pipe")]);
    execFileSync("chmod", ["2751", join(cache, "a")]);
    execFileSync("touch", ["-d", "2001-02-03 04:05:06.123456789 UTC", join(cache, "a/large")]);
    execFileSync("touch", ["-d", "1969-12-31 23:59:59.5 UTC", join(cache, "a/b")]);
    execFileSync("touch", ["-hd", "2001-02-03 04:05:06.987654321 UTC", join(cache, "a/b/up")]);
    const before = describeTree(cache);
    await exportTo(place, { npm: cache }, { tmpDir });
    expect(describeTree(await importFrom(place))).toBe(before);
  });

  test("keeps owners and attributes", async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip("only root may give files away");
    const { cache, place, tmpDir } = await setup();
    const kernel = await loadSyscalls();
    const value = Buffer.from([0, 0xff, 10]);
    putFiles(cache, { "of-others": "x" });
    for (const path of [cache, join(cache, "of-others")]) kernel.lchown(path, 1234, 4321);
    kernel.lsetxattr(join(cache, "of-others"), "user.note", value);
    const before = describeTree(cache);
    await exportTo(place, { npm: cache }, { tmpDir });
    const directory = await importFrom(place);
    expect(describeTree(directory)).toBe(before);
    const copy = join(directory, "of-others");
    expect(kernel.lgetxattr(copy, "user.note")).toEqual(value);
    expect(kernel.llistxattr(copy)).toEqual(kernel.llistxattr(join(cache, "of-others")));
  });

  test("leaves sockets behind", async () => {
    const { cache, place, tmpDir } = await setup();
    const server = createServer().listen(join(cache, "socket"));
    await new Promise((done) => server.once("listening", done));
    putFiles(cache, { file: "x" });
    const { mounts } = await exportTo(place, { npm: cache }, { tmpDir });
    expect(mounts).toMatchObject([{ files: 1 }]);
    expect(readdirSync(await importFrom(place))).toEqual(["file"]);
    await new Promise((done) => server.close(done));
  });

  test("sends nothing when nothing changed", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: noise(2_000_000, 1) });
    const first = await exportTo(place, { npm: cache }, { tmpDir });
    const pushed = place.pushed.length;
    const second = await exportTo(place, { npm: cache }, { tmpDir });
    expect(second.root).toEqual(first.root);
    expect(second.sent).toEqual({ count: 0, bytes: 0 });
    expect(place.pushed.length).toBe(pushed);
  });

  test("sends little more than what changed", async () => {
    const { cache, place, tmpDir } = await setup();
    for (let index = 0; index < 40; index++)
      putFiles(cache, { [`f${String(index)}`]: noise(300_000, index) });
    const first = await exportTo(place, { npm: cache }, { tmpDir });
    expect(first.sent.bytes).toBeGreaterThan(12_000_000);
    putFiles(cache, { "f20-new": noise(100_000, 99) });
    rmSync(join(cache, "f3"));
    const second = await exportTo(place, { npm: cache }, { tmpDir });
    expect(second.sent.bytes).toBeLessThan(3_000_000);
    const before = describeTree(cache);
    expect(describeTree(await importFrom(place))).toBe(before);
  });

  test("sends no content of files that were only touched", async () => {
    const { cache, place, tmpDir } = await setup();
    for (let index = 0; index < 40; index++)
      putFiles(cache, { [`f${String(index)}`]: noise(100_000, index) });
    await exportTo(place, { npm: cache }, { tmpDir });
    for (let index = 0; index < 40; index++)
      utimesSync(join(cache, `f${String(index)}`), 1e9, 1e9 + index);
    const { sent } = await exportTo(place, { npm: cache }, { tmpDir });
    expect(sent.bytes).toBeGreaterThan(0);
    expect(sent.bytes).toBeLessThan(10_000);
  });

  test("leaves other mounts of the place as they are", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: "npm" });
    const apt = join(tmpDir, "apt");
    putFiles(apt, { b: "apt" });
    await exportTo(place, { apt }, { tmpDir });
    const { kept } = await exportTo(place, { npm: cache }, { tmpDir });
    expect(kept).toEqual([{ id: "apt" }]);
    expect((await readBack(place)).mounts.map(({ name }) => name.id)).toEqual(["apt", "npm"]);
    expect(readdirSync(await importFrom(place, "apt"))).toEqual(["b"]);
  });

  test("that loses most of what it had sends the rest of a pack once more, beside something new", async () => {
    const { cache, place, tmpDir } = await setup();
    for (let index = 0; index < 20; index++)
      putFiles(cache, { [`f${String(index)}`]: noise(1_000_000, index) });
    await exportTo(place, { npm: cache }, { tmpDir, packSize: 64 * 1024 * 1024 });
    const packs = [...(await readBack(place)).packs.keys()];
    expect(packs.length).toBe(1);
    for (let index = 4; index < 20; index++) rmSync(join(cache, `f${String(index)}`));
    await exportTo(place, { npm: cache }, { tmpDir, packSize: 64 * 1024 * 1024 });
    const now = [...(await readBack(place)).packs.keys()];
    expect(now).not.toContain(packs[0]);
    expect(describeTree(await importFrom(place))).toBe(describeTree(cache));
  });

  test("does not leave a pack for every export for ever", async () => {
    const { cache, place, tmpDir } = await setup();
    for (let index = 0; index < 24; index++) {
      putFiles(cache, { [`f${String(index)}`]: noise(100_000, index) });
      await exportTo(place, { npm: cache }, { tmpDir });
    }
    expect((await readBack(place)).packs.size).toBeLessThan(20);
    expect(describeTree(await importFrom(place))).toBe(describeTree(cache));
  });

  test("sends again what the place has lost", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: noise(2_000_000, 1) });
    await exportTo(place, { npm: cache }, { tmpDir });
    const set = await readBack(place);
    const [lost] = set.packs.keys();
    if (lost !== undefined) place.blobs.delete(lost);
    const left = await onlyPresent(set, { sink: place, signal });
    expect(left.packs.size).toBe(set.packs.size - 1);
    expect(left.mounts).toEqual([]);
  });
});

describe("what stays behind", () => {
  const day = 86_400;
  const aged = (cache: string, path: string, days: number): void => {
    const then = Date.now() / 1000 - days * day;
    utimesSync(join(cache, path), then, then);
  };

  test("is the oldest beyond a size, and directories that held nothing else", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { "old/a": noise(1000, 1), "old/b": noise(1000, 2), "new/c": noise(1000, 3) });
    mkdirSync(join(cache, "empty"));
    for (const [path, days] of [
      ["old/a", 9],
      ["old/b", 8],
      ["new/c", 1],
    ] as const)
      aged(cache, path, days);
    const { mounts } = await exportTo(place, { npm: cache }, { tmpDir, limits: { maxSize: 1500 } });
    expect(mounts).toMatchObject([{ files: 1, size: 1000, dropped: { files: 2, bytes: 2000 } }]);
    expect(readdirSync(await importFrom(place)).sort()).toEqual(["empty", "new"]);
  });

  test("is what nobody used for long; a file that was read counts as used", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { stale: "s", fresh: "f", read: "r" });
    aged(cache, "stale", 40);
    aged(cache, "fresh", 2);
    const [then, now] = [Date.now() / 1000 - 40 * day, Date.now() / 1000];
    utimesSync(join(cache, "read"), now, then);
    const usedSince = BigInt(Date.now() - 30 * day * 1000) * 1_000_000n;
    const directory = await (async () => {
      await exportTo(place, { npm: cache }, { tmpDir, limits: { usedSince } });
      return importFrom(place);
    })();
    expect(readdirSync(directory).sort()).toEqual(["fresh", "read"]);
    // The use travels too: a second machine that does not use it lets it grow old.
    const elsewhere = new MemoryPlace();
    const later = BigInt(Date.now() + 29 * day * 1000) * 1_000_000n;
    const tomorrow = BigInt(Date.now() - day * 1000) * 1_000_000n;
    const again = await exportTo(
      elsewhere,
      { npm: directory },
      { tmpDir, limits: { usedSince: tomorrow } },
    );
    expect(again.mounts).toMatchObject([{ files: 1 }]);
    expect(
      (await exportTo(elsewhere, { npm: directory }, { tmpDir, limits: { usedSince: later } }))
        .mounts,
    ).toMatchObject([{ files: 0 }]);
  });

  test("are both names of a file, or none", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: noise(1000, 1), b: noise(1000, 2) });
    linkSync(join(cache, "a"), join(cache, "a-too"));
    aged(cache, "a", 9);
    await exportTo(place, { npm: cache }, { tmpDir, limits: { maxSize: 1999 } });
    expect(readdirSync(await importFrom(place))).toEqual(["b"]);
  });

  test("are mounts of the place that nobody used for long", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: "a" });
    const old = join(tmpDir, "old");
    putFiles(old, { b: "b" });
    aged(old, "b", 40);
    await exportTo(place, { old }, { tmpDir });
    const usedSince = BigInt(Date.now() - 30 * day * 1000) * 1_000_000n;
    expect((await exportTo(place, { npm: cache }, { tmpDir, limits: { usedSince } })).kept).toEqual(
      [],
    );
  });
});

describe("files that change while they are read", () => {
  test("a file that goes is left out, one that grows is cut, and one that shrinks is read again", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, {
      gone: "x",
      grows: noise(2_000_000, 1),
      shrinks: noise(4_000_000, 2),
      z: "z",
    });
    const acts = [
      () => rmSync(join(cache, "gone")),
      () => truncateSync(join(cache, "shrinks"), 100),
      () => writeFileSync(join(cache, "grows"), noise(3_000_000, 3)),
    ];
    const { exportMounts } = await import("../../../src/cache-mounts/index.ts");
    const exported = await exportMounts({
      mounts: [{ key: keyOf("npm"), name: { id: "npm" }, directory: cache }],
      limits: {},
      previous: undefined,
      sink: place,
      tmpDir,
      onProgress: () => acts.shift()?.(),
      signal,
    });
    expect(exported.mounts).toHaveLength(1);
    expect(acts).toEqual([]);
  });
});

describe("a damaged place", () => {
  test("with a pack that is not what its digest says puts nothing in place", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: noise(500_000, 1) });
    await exportTo(place, { npm: cache }, { tmpDir });
    const [pack] = (await readBack(place)).packs.keys();
    const bytes = pack === undefined ? undefined : place.blobs.get(pack);
    bytes?.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000);
    await expectCode(importFrom(place), "DIGEST_MISMATCH");
  });

  test("with chunks under wrong names keeps what was there", async () => {
    const { cache, place, tmpDir } = await setup();
    putFiles(cache, { a: noise(900_000, 1) });
    await exportTo(place, { npm: cache }, { tmpDir });
    const set = await readBack(place);
    const [first, second] = [...set.chunks.keys()].filter((digest) =>
      set.mounts[0]?.contents.includes(digest),
    );
    if (first === undefined || second === undefined) throw new Error("too few chunks");
    const [one, two] = [set.chunks.get(first), set.chunks.get(second)];
    if (one === undefined || two === undefined) throw new Error("too few chunks");
    const chunks = new Map(set.chunks).set(first, two).set(second, one);
    const { store } = await withStore();
    const { cacheMounts } = store;
    await cacheMounts.replace({
      key: keyOf("npm"),
      fill: async (directory) => Promise.resolve(writeFileSync(join(directory, "mine"), "mine")),
    });
    const work = importMounts({
      ...{ set: { ...set, chunks }, mounts: set.mounts, source: place },
      ...{ store: cacheMounts, tmpDir: store.tmpDir, signal },
    });
    await expectCode(work, "CACHE_MOUNTS_INVALID");
    const [entry] = await cacheMounts.list();
    expect(await readFile(join(entry?.directory ?? "", "mine"), "utf8")).toBe("mine");
    expect(readdirSync(store.tmpDir).filter((name) => name !== "lock")).toEqual([]);
  });

  test("is no reason to leave files of the export behind", async () => {
    const folder = await temporaryFolder();
    const { cache } = await setup();
    putFiles(cache, { a: noise(500_000, 1) });
    const place = new MemoryPlace();
    place.push = () => Promise.reject(new Error("full"));
    await expect(exportTo(place, { npm: cache }, { tmpDir: folder })).rejects.toThrow("full");
    expect(readdirSync(folder)).toEqual([]);
  });
});
