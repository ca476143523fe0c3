import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStatCache, type StatCache, type StatKey } from "../../../src/context/index.ts";

const day = 24 * 3600 * 1000;
const start = 20_000 * day;

let tmpDir: string;

beforeEach(() => {
  tmpDir = mkdtempSync(join(tmpdir(), "tsbuild-stat-"));
});
afterEach(() => rmSync(tmpDir, { recursive: true, force: true }));

function open(now = start): Promise<StatCache> {
  return openStatCache({ path: join(tmpDir, "sub/stat"), tmpDir, now: () => now });
}

/** A file that changed `ageMs` before it was read at `start`. */
function keyOf(path: string, ageMs = 60_000): StatKey {
  const time = BigInt(start - ageMs) * 1_000_000n + 123_456n;
  return {
    path,
    size: 5n,
    mtimeNs: time - 1_000n,
    ctimeNs: time,
    inode: 2n ** 63n + 7n,
    device: 66_310n,
  };
}

const readAt = BigInt(start) * 1_000_000n;
const bytesOf = (text: string): Buffer => createHash("sha256").update(text).digest();
const digest = bytesOf("content");

test("what was saved is known to the next process, to the nanosecond", async () => {
  const first = await open();
  first.set({ key: keyOf("/a"), digest, readAt });
  first.set({ key: keyOf("/caf\xe9\xff"), digest: bytesOf("other"), readAt });
  await first.save();
  const second = await open();
  expect(second.get(keyOf("/a"))).toEqual(digest);
  expect(second.get(keyOf("/caf\xe9\xff"))).toEqual(bytesOf("other"));
  expect(second.get(keyOf("/b"))).toBeUndefined();
});

test.each(["size", "mtimeNs", "ctimeNs", "inode", "device"] as const)(
  "another %s is another file",
  async (field) => {
    const cache = await open();
    const key = keyOf("/a");
    cache.set({ key, digest, readAt });
    const other = { ...key, [field]: key[field] + 1n };
    expect(cache.get(other)).toBeUndefined();
    await cache.save();
    expect((await open()).get(other)).toBeUndefined();
  },
);

test("a file as young as its reading is not trusted", async () => {
  const cache = await open();
  for (const [path, age] of [
    ["/future", -5_000],
    ["/now", 0],
    ["/tick", 10],
  ] as const) {
    cache.set({ key: keyOf(path, age), digest, readAt });
    expect([path, cache.get(keyOf(path, age))]).toEqual([path, undefined]);
  }
  cache.set({ key: keyOf("/older", 50), digest, readAt });
  expect(cache.get(keyOf("/older", 50))).toEqual(digest);
});

test("times of other centuries are no harm", async () => {
  const cache = await open();
  const secondNs = 1_000_000_000n;
  const mtimes = { "/1600": -11_676_096_000n, "/1900": -2_208_988_800n, "/2500": 16_725_225_600n };
  for (const [path, seconds] of Object.entries(mtimes))
    cache.set({ key: { ...keyOf(path), mtimeNs: seconds * secondNs + 1n }, digest, readAt });
  const known = Object.entries(mtimes).filter(
    ([path, seconds]) =>
      cache.get({ ...keyOf(path), mtimeNs: seconds * secondNs + 1n }) !== undefined,
  );
  expect(known.map(([path]) => path)).toEqual(["/1900"]);
});

test("whole seconds in both times mean a coarse clock, which needs two seconds", async () => {
  const cache = await open();
  const second = (age: number): StatKey => {
    const time = BigInt(start / 1000 - age) * 1_000_000_000n;
    return { ...keyOf("/a"), mtimeNs: time, ctimeNs: time };
  };
  cache.set({ key: second(1), digest, readAt });
  expect(cache.get(second(1))).toBeUndefined();
  cache.set({ key: second(3), digest, readAt });
  expect(cache.get(second(3))).toEqual(digest);
});

test("a new version replaces the old one", async () => {
  const first = await open();
  first.set({ key: keyOf("/a"), digest, readAt });
  await first.save();
  const second = await open();
  const changed = { ...keyOf("/a"), size: 6n };
  second.set({ key: changed, digest: bytesOf("new"), readAt });
  await second.save();
  const third = await open();
  expect(third.get(changed)).toEqual(bytesOf("new"));
  expect(third.get(keyOf("/a"))).toBeUndefined();
});

test("entries that nobody asked for in a month go, those in use stay", async () => {
  const first = await open();
  first.set({ key: keyOf("/used"), digest, readAt });
  first.set({ key: keyOf("/forgotten"), digest, readAt });
  await first.save();
  const later = await open(start + 20 * day);
  expect(later.get(keyOf("/used"))).toEqual(digest);
  later.set({ key: keyOf("/new"), digest, readAt });
  await later.save();
  const muchLater = await open(start + 40 * day);
  muchLater.set({ key: keyOf("/newest"), digest, readAt });
  await muchLater.save();
  const last = await open(start + 40 * day);
  expect(last.get(keyOf("/used"))).toEqual(digest);
  expect(last.get(keyOf("/forgotten"))).toBeUndefined();
});

test("a broken file is the same as none", async () => {
  const cache = await open();
  cache.set({ key: keyOf("/a"), digest, readAt });
  await cache.save();
  const path = join(tmpDir, "sub/stat");
  const good = readFileSync(path);
  const flipped = Buffer.from(good);
  flipped[60] = (flipped[60] ?? 0) ^ 1;
  const broken = [
    Buffer.alloc(0),
    Buffer.from("x"),
    good.subarray(0, -1),
    flipped,
    Buffer.alloc(500),
  ];
  for (const bytes of broken) {
    writeFileSync(path, bytes);
    expect((await open()).get(keyOf("/a"))).toBeUndefined();
  }
  writeFileSync(path, good);
  expect((await open()).get(keyOf("/a"))).toEqual(digest);
});

test("nothing is written when nothing is new", async () => {
  const cache = await open();
  await cache.save();
  expect(() => readFileSync(join(tmpDir, "sub/stat"))).toThrow();
});
