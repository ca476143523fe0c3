import { execFileSync } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { large, raw } from "../../fixtures/hostile/index.ts";
import { openArchiveSource } from "../../src/archive/index.ts";
import { openDirectoryContext, openStreamContext } from "../../src/context/index.ts";
import { isTsbuildError } from "../../src/core/index.ts";
import { decompress, openLayer, readLayerTar } from "../../src/layer/index.ts";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const mebibyte = 1024 * 1024;

let harness: CopyHarness;
let folder: string;
beforeEach(async () => {
  harness = await openCopyHarness();
  folder = await temporaryFolder();
  return () => vi.unstubAllEnvs();
});

/** An archive in a file, and the ways to open it. */
async function pack(chunks: Iterable<Buffer>): Promise<string> {
  const path = join(folder, "archive");
  await pipeline(Readable.from(chunks), createGzip({ level: 1 }), createWriteStream(path));
  return path;
}

const doors = {
  layer: async (path: string) =>
    harness.environment.snapshots.apply(undefined, await openLayer(createReadStream(path))),
  add: async (path: string) => {
    const from = await openDirectoryContext({ directory: join(path, "..") });
    return harness.copy({ from, sources: ["archive"], destination: "/", unpack: true });
  },
  context: async (path: string) =>
    openStreamContext(createReadStream(path), { folder: join(folder, "files"), label: "the test" }),
  load: async (path: string) => openArchiveSource({ input: path, tmpDir: folder }),
} as const;

/** What a door says of an archive that is too much. */
async function expectTooMuch(door: keyof typeof doors, path: string, setting?: string) {
  const error = await doors[door](path).catch((reason: unknown) => reason);
  if (!isTsbuildError(error)) throw new Error("it was taken", { cause: error });
  expect(error.code).toBe(door === "context" ? "CONTEXT_ARCHIVE_INVALID" : "LAYER_LIMIT_EXCEEDED");
  if (setting !== undefined) expect(error.hint).toContain(setting);
}

describe.each(["layer", "add", "context", "load"] as const)("through the door %s", (door) => {
  test("a bomb of zeros ends at the limit, and nothing stays of it", async () => {
    vi.stubEnv("TSBUILD_MAX_UNPACKED_SIZE", "16m");
    const path = await pack(large.zeros(64 * mebibyte));
    expect((await readFile(path)).length).toBeLessThan(mebibyte);
    await expectTooMuch(door, path, "TSBUILD_MAX_UNPACKED_SIZE");
    const { store, snapshots } = harness.environment;
    for await (const snapshot of snapshots.list()) expect(snapshot).toBeUndefined();
    const left = execFileSync("du", ["-sm", store.root, folder], { encoding: "utf8" });
    for (const line of left.trim().split("\n")) expect(Number.parseInt(line)).toBeLessThan(20);
  });

  test("a bomb that is not compressed ends at the limit too", async ({ skip }) => {
    if (door === "load") return skip("a plain archive is read where it lies");
    vi.stubEnv("TSBUILD_MAX_UNPACKED_SIZE", "1m");
    const path = join(folder, "archive");
    await pipeline(Readable.from(large.zeros(2 * mebibyte)), createWriteStream(path));
    await expectTooMuch(door, path, "TSBUILD_MAX_UNPACKED_SIZE");
  });

  test("what is as large as the limit is taken", async ({ skip }) => {
    if (door === "load") return skip("zeros are no images");
    vi.stubEnv("TSBUILD_MAX_UNPACKED_SIZE", String(mebibyte + 3 * 512));
    await doors[door](await pack(large.zeros(mebibyte)));
  });
});

describe.each(["layer", "add", "context"] as const)("through the door %s", (door) => {
  test("a bomb of holes ends at the limit, before anything is written of it", async () => {
    vi.stubEnv("TSBUILD_MAX_UNPACKED_SIZE", "16m");
    await doors[door](await pack(large.hole(16 * mebibyte)));
    const path = await pack(large.hole(2 ** 43));
    expect((await readFile(path)).length).toBeLessThan(1024);
    await expectTooMuch(door, path, "TSBUILD_MAX_UNPACKED_SIZE");
    const left = execFileSync("du", ["-sm", harness.environment.store.root], { encoding: "utf8" });
    expect(Number.parseInt(left)).toBeLessThan(2);
  });

  test("too many entries are too many", async () => {
    vi.stubEnv("TSBUILD_MAX_ENTRIES", "1000");
    await expectTooMuch(door, await pack(large.manyEntries(1001)), "TSBUILD_MAX_ENTRIES");
  });

  test("a million records in one header are refused, fifty thousand mean nothing", async () => {
    await expectTooMuch(door, await pack(large.manyRecords(1_000_000)));
    await doors[door](await pack(large.manyRecords(50_000)));
  });

  test.each([
    ["one name", large.deepByName, "LAYER_PATH_INVALID"],
    ["links", large.deepByLinks, "SNAPSHOT_NAME_TOO_LONG"],
  ] as const)("a depth of 100,000 by %s is refused", async (_name, make, code) => {
    const path = await pack(make(100_000));
    await expectCode(doors[door](path), door === "context" ? "CONTEXT_ARCHIVE_INVALID" : code);
  });
});

test("extension headers that never come to an entry are too many at some time", async () => {
  const entries = readLayerTar(Readable.from(large.extensionsWithoutEnd(1100)));
  await expectCode(entries.next(), "LAYER_LIMIT_EXCEEDED");
});

test("hundreds of thousands of entries are read one by one, in little memory", async () => {
  const wanted = Number(process.env["TSBUILD_TEST_ENTRIES"] ?? 200_000);
  let count = 0;
  let peak = 0;
  const before = process.memoryUsage().rss;
  for await (const entry of readLayerTar(Readable.from(large.manyEntries(wanted)))) {
    if (entry.type === "file") count += 1;
    if (count % 50_000 === 0) peak = Math.max(peak, process.memoryUsage().rss);
  }
  expect(count).toBe(wanted);
  expect(peak - before).toBeLessThan(300 * mebibyte);
});

test("a bomb inside a bomb is one file: nothing is unpacked twice", async () => {
  const inner = gzipSync(Buffer.concat([...large.zeros(8 * mebibyte)]));
  const bytes = raw.tar(raw.entry({ name: "bomb.tar.gz" }, inner));
  await writeFile(join(folder, "archive"), gzipSync(gzipSync(bytes)));
  await doors.add(join(folder, "archive"));
  const { snapshots } = harness.environment;
  for await (const snapshot of snapshots.list()) expect(snapshot.contentSize).toBeLessThan(20_000);
  expect(await readdir(folder)).toEqual(["archive"]);
});

test.each(["x", "-1", "1e9"])("a limit that is no number is told: %s", async (text) => {
  vi.stubEnv("TSBUILD_MAX_UNPACKED_SIZE", text);
  await expectCode(decompress(Readable.from([])), "LAYER_LIMIT_INVALID");
});
