import { lstatSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { JobThread } from "../../src/core/index.ts";
import { type LayerEntryWithContent, layerTarChunks, toRootPath } from "../../src/layer/index.ts";
import { runFillJob } from "../../src/layer/tar/fill-job.ts";
import { expectCode } from "../support/expect-code.ts";
import { openTestThread } from "../support/file-thread.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** Some forty pieces of files of all sizes, as a committed layer tells of them. */
async function manyFiles(): Promise<{ folder: string; entries: LayerEntryWithContent[] }> {
  const folder = await temporaryFolder();
  const entries = Array.from({ length: 700 }, (_, number) => {
    const name = `${"n".repeat(number % 200)}${String(number)}`;
    const isLarge = number % 97 === 0;
    const size = isLarge ? 400_000 + number * 5000 : (number * 131) % 40_000;
    writeFileSync(join(folder, name), Buffer.alloc(size, `${String(number)} `));
    return entryOf(join(folder, name), { name, mtime: BigInt(number) });
  });
  return { folder, entries };
}

function entryOf(
  path: string,
  { name, mtime }: { readonly name: string; readonly mtime: bigint },
): LayerEntryWithContent {
  const { size } = lstatSync(path);
  const read = (target: Buffer = Buffer.alloc(size)): Buffer => {
    const content = readFileSync(path);
    target.set(content);
    return target.subarray(0, content.length);
  };
  const looks = { mode: 0o644, uid: 0, gid: 0, mtime, size };
  const entry = { path: toRootPath(Buffer.from(name)), type: "file", ...looks } as const;
  const place = Buffer.from(path);
  if (size > 500_000) return { ...entry, open: () => Readable.from([read()]), place };
  return { ...entry, read, place };
}

async function tarOf(entries: LayerEntryWithContent[], thread?: JobThread): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of layerTarChunks(entries, { thread })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe("a second thread that reads a layer's files", () => {
  test("changes nothing about the tar", async () => {
    const { entries } = await manyFiles();
    const { thread, kinds } = await openTestThread();
    expect((await tarOf(entries, thread)).equals(await tarOf(entries))).toBe(true);
    expect(kinds).toEqual(new Set(["fill"]));
  });

  test("may die in the middle", async () => {
    const { entries } = await manyFiles();
    const { thread } = await openTestThread();
    const post = thread.post.bind(thread);
    let jobs = 0;
    thread.post = (job) => {
      const number = post(job);
      if (++jobs === 2) void thread.close();
      return number;
    };
    expect((await tarOf(entries, thread)).equals(await tarOf(entries))).toBe(true);
    expect(jobs).toBeGreaterThanOrEqual(2);
  });

  test("reads a large file behind attributes that are longer than a piece", async () => {
    const path = join(await temporaryFolder(), "large");
    writeFileSync(path, Buffer.alloc(1_500_000, "0123456789abc"));
    const xattrs = new Map(
      Array.from({ length: 10 }, (_, n) => [`user.${String(n)}`, Buffer.alloc(60_000, "x")]),
    );
    const large = { ...entryOf(path, { name: "large", mtime: 1n }), xattrs };
    const { thread } = await openTestThread();
    expect((await tarOf([large], thread)).equals(await tarOf([large]))).toBe(true);
  });

  test("does not hide that a file is not as it was listed", async () => {
    const { folder, entries } = await manyFiles();
    const { thread } = await openTestThread();
    truncateSync(join(folder, "n".repeat(103) + "303"), 1);
    await expectCode(tarOf(entries, thread), "LAYER_SIZE_MISMATCH");
  });

  test("says so when it could not read all of its files", async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, "file"), "12345");
    symlinkSync("file", join(folder, "link"));
    const fill = (name: string, size: number) => {
      const bytes = new Uint8Array(new SharedArrayBuffer(16));
      const done = new Int32Array(new SharedArrayBuffer(4));
      const places = Float64Array.of(0, 2, size, 0);
      const paths = Buffer.from(`${join(folder, name)}\0`);
      runFillJob({ kind: "fill", bytes, paths, places, done });
      return { done: done[0], text: Buffer.from(bytes.slice(2, 2 + size)).toString() };
    };
    expect(fill("file", 5)).toEqual({ done: 1, text: "12345" });
    expect(fill("file", 6).done).toBe(0);
    expect(fill("link", 5).done).toBe(0);
    expect(fill("missing", 5).done).toBe(0);
  });
});
