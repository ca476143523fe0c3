import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeEach, afterEach, describe, expect, test } from "vitest";
import { openStreamContext, type StreamContext } from "../../../src/context/index.ts";
import { toRootPath, writeLayerTar, type LayerEntryWithContent } from "../../../src/layer/index.ts";
import { expectCode } from "../../support/expect-code.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-stream-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

type Part = Partial<Omit<LayerEntryWithContent, "path">> & { readonly content?: string | Buffer };

async function tarOf(parts: readonly (readonly [string, Part])[]): Promise<Buffer> {
  const entries = parts.map(([path, { content = "", ...part }]): LayerEntryWithContent => {
    const bytes = Buffer.from(content);
    const looks = { type: "file" as const, mode: 0o644, uid: 5, gid: 6, mtime: 7_000_000_000n };
    return {
      ...looks,
      size: bytes.length,
      read: () => bytes,
      ...part,
      path: Buffer.from(path),
    };
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeLayerTar(entries)) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

async function open(bytes: Buffer): Promise<StreamContext> {
  const options = { folder: join(folder, "files"), label: "the test" };
  return openStreamContext(piecesOf(bytes), options);
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

async function openTree(
  parts: readonly (readonly [string, Part])[],
): Promise<Extract<StreamContext, { type: "tree" }>> {
  const context = await open(gzipSync(await tarOf(parts)));
  if (context.type !== "tree") throw new Error("no tree");
  return context;
}

describe("openStreamContext", () => {
  test("gives the entries of a tar with owners, modes and times of the archive [4.14]", async () => {
    const { tree, newest } = await openTree([
      ["a/b.txt", { content: "hello", mode: 0o4755, mtime: 1_234_567_890n * 1_000_000_000n }],
      ["a", { type: "directory", mode: 0o700, size: 0, mtime: 9_999_999_999n * 1_000_000_000n }],
      ["link", { type: "symlink", linkTarget: Buffer.from("/etc/passwd"), size: 0 }],
      ["again", { type: "hardlink", linkTarget: Buffer.from("a/b.txt"), size: 0 }],
      ["null", { type: "char-device", devMajor: 1, devMinor: 3, size: 0 }],
    ]);
    const file = await tree.lstat(toRootPath("a/b.txt"));
    expect(file).toMatchObject({ mode: 0o4755, uid: 5, gid: 6, size: 5, nlink: 2 });
    expect((await tree.lstat(toRootPath("again")))?.inode).toBe(file?.inode);
    expect(await tree.lstat(toRootPath("a"))).toMatchObject({ type: "directory", mode: 0o700 });
    expect(await tree.lstat(toRootPath("null"))).toMatchObject({ devMajor: 1, devMinor: 3 });
    expect(String(await tree.readlink(toRootPath("link")))).toBe("/etc/passwd");
    expect((await tree.readdir(toRootPath(""))).map(String)).toEqual([
      "a",
      "again",
      "link",
      "null",
    ]);
    const opened = await tree.openFile(toRootPath("again"));
    expect(await readFile(`/proc/self/fd/${String(opened.fd)}`, "utf8")).toBe("hello");
    await opened.close();
    // The newest file; directories do not count.
    expect(newest).toBe(1_234_567_890);
  });

  test("makes nothing on this host but numbered files [4.14]", async () => {
    await openTree([
      ["x", { type: "symlink", linkTarget: Buffer.from(folder), size: 0 }],
      ["x/evil", { content: "e" }],
      ["dev", { type: "block-device", devMajor: 8, devMinor: 0, size: 0 }],
    ]);
    expect(await readdir(folder)).toEqual(["files"]);
    expect(await readdir(join(folder, "files"))).toEqual(["1"]);
    expect((await stat(join(folder, "files/1"))).mode & 0o777).toBe(0o600);
  });

  test("puts entries behind links of the archive inside of it, and lets later ones win", async () => {
    const { tree } = await openTree([
      ["real", { type: "directory", size: 0 }],
      ["to", { type: "symlink", linkTarget: Buffer.from("/real"), size: 0 }],
      ["to/f", { content: "one" }],
      ["real/f", { content: "two", mode: 0o600 }],
    ]);
    expect(await tree.lstat(toRootPath("real/f"))).toMatchObject({ mode: 0o600 });
    expect(await tree.lstat(toRootPath("to/f"))).toBeUndefined();
  });

  test("zeros take no room", async () => {
    const bytes = Buffer.alloc(8 * 1024 * 1024);
    bytes[5_000_000] = 1;
    await openTree([["zeros", { content: bytes }]]);
    const found = await stat(join(folder, "files/1"));
    expect(found.size).toBe(bytes.length);
    expect(found.blocks * 512).toBeLessThan(1024 * 1024);
    expect((await readFile(join(folder, "files/1"))).equals(bytes)).toBe(true);
  });

  test("what is no archive stays what it is [4.14]", async () => {
    const text = "FROM scratch\n".repeat(100);
    const context = await open(Buffer.from(text));
    if (context.type !== "bytes") throw new Error("a tree");
    const chunks: Uint8Array[] = [];
    for await (const chunk of context.content) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe(text);
  });

  test("an archive that ends early, leaves its root or contradicts itself is refused [4.14]", async () => {
    const whole = await tarOf([["a", { content: "x".repeat(5000) }]]);
    await expectCode(open(whole.subarray(0, 3000)), "CONTEXT_ARCHIVE_INVALID");
    await expectCode(open(gzipSync(whole).subarray(0, 40)), "CONTEXT_ARCHIVE_INVALID");
    await expectCode(open(gzipSync("no tar")), "CONTEXT_ARCHIVE_INVALID");
    await expectCode(
      openTree([
        ["f", {}],
        ["f/below", {}],
      ]),
      "CONTEXT_ARCHIVE_INVALID",
    );
    const nowhere = { type: "hardlink" as const, linkTarget: Buffer.from("none"), size: 0 };
    await expectCode(openTree([["h", nowhere]]), "CONTEXT_ARCHIVE_INVALID");
  });
});
