import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { writeTree } from "../../../src/cache-mounts/write-tree.ts";
import { loadSyscalls } from "../../../src/core/index.ts";
import {
  ByteSource,
  formatHeader,
  readLayerTar,
  toRootPath,
  type LayerEntry,
} from "../../../src/layer/index.ts";
import { expectCode } from "../../support/expect-code.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const looks = {
  mode: 0o755,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtime: 0n,
  size: 0,
};
const root: LayerEntry = { ...looks, path: Buffer.alloc(0), type: "directory" };
const entry = (
  path: string,
  type: LayerEntry["type"],
  more: Partial<LayerEntry> = {},
): LayerEntry => ({
  ...looks,
  ...{ path: Buffer.from(path), type },
  ...more,
});
const link = (path: string, type: "symlink" | "hardlink", to: string): LayerEntry =>
  entry(path, type, { linkTarget: Buffer.from(to) });

/** Beside the directory lies a file that no cache may reach. */
async function write(entries: readonly LayerEntry[], contents = ""): Promise<string> {
  const folder = await temporaryFolder();
  const directory = join(folder, "data");
  mkdirSync(directory);
  writeFileSync(join(folder, "outside"), "safe");
  try {
    await writeTree(
      { kernel: await loadSyscalls(), directory },
      {
        entries: (async function* () {
          await Promise.resolve();
          yield* entries;
        })(),
        contents: new ByteSource(Readable.from([Buffer.from(contents)])),
      },
    );
  } finally {
    expect(readFileSync(join(folder, "outside"), "utf8")).toBe("safe");
    expect(readdirSync(folder).sort()).toEqual(["data", "outside"]);
    expect(lstatSync(join(folder, "outside")).nlink).toBe(1);
  }
  return directory;
}

test("files take their contents one behind the other", async () => {
  const directory = await write(
    [root, entry("a", "file", { size: 3 }), entry("b", "file"), entry("c", "file", { size: 2 })],
    "abcde",
  );
  expect(readFileSync(join(directory, "a"), "utf8")).toBe("abc");
  expect(readFileSync(join(directory, "b"), "utf8")).toBe("");
  expect(readFileSync(join(directory, "c"), "utf8")).toBe("de");
});

test("a directory that nobody may write to gets what is in it", async () => {
  const directory = await write([
    root,
    entry("d", "directory", { mode: 0o555 }),
    entry("d/f", "file"),
  ]);
  expect(lstatSync(join(directory, "d")).mode & 0o777).toBe(0o555);
  expect(lstatSync(join(directory, "d/f")).isFile()).toBe(true);
});

describe("a hostile catalogue is refused:", () => {
  test.each<[string, readonly LayerEntry[]]>([
    [
      "a file below a symlink that leads out",
      [root, link("up", "symlink", ".."), entry("up/outside", "file")],
    ],
    [
      "a file in place of a symlink",
      [root, link("out", "symlink", "../outside"), entry("out", "file")],
    ],
    [
      "a directory in place of a symlink",
      [root, link("up", "symlink", ".."), entry("up", "directory")],
    ],
    ["a hard link to a file outside", [root, link("mine", "hardlink", "../outside")]],
    [
      "a hard link through a symlink",
      [root, link("up", "symlink", ".."), link("mine", "hardlink", "up/outside")],
    ],
    [
      "a hard link to a symlink",
      [root, link("s", "symlink", "../outside"), link("mine", "hardlink", "s")],
    ],
    [
      "a hard link to something later",
      [root, link("mine", "hardlink", "later"), entry("later", "file")],
    ],
    ["a hard link to nothing", [root, link("mine", "hardlink", "")]],
    ["a character device", [root, entry("null", "char-device", { devMajor: 1, devMinor: 3 })]],
    ["a block device", [root, entry("disk", "block-device", { devMajor: 8, devMinor: 0 })]],
    ["one name twice", [root, entry("a", "file"), entry("a", "file")]],
    ["the root twice", [root, root]],
    ["a file in a file", [root, entry("a", "file"), entry("a/b", "file")]],
    ["a file in no directory", [root, entry("a/b", "file")]],
    ["no root", [entry("a", "file")]],
    ["more content than there is", [root, entry("a", "file", { size: 10 })]],
    ["less content than there is", [root, entry("a", "file", { size: 1 })]],
  ])("%s", async (_, entries) => {
    await expectCode(write(entries, "abc"), "CACHE_MOUNTS_INVALID");
  });

  test("names with dots that lead out", async () => {
    const header = formatHeader(entry("x/../../outside", "file"));
    const read = async (): Promise<unknown> => {
      const entries: LayerEntry[] = [];
      const input = Readable.from([header, Buffer.alloc(1024)]);
      for await (const found of readLayerTar(input, { contentsElsewhere: true }))
        entries.push(found);
      return entries;
    };
    await expectCode(read(), "LAYER_PATH_ESCAPES");
  });
});

test("a tar of headers is read without contents", async () => {
  const entries = [
    root,
    entry("a", "file", { size: 70_000_000_000 }),
    entry("b", "file", { size: 5 }),
  ];
  const found: LayerEntry[] = [];
  const input = Readable.from([...entries.map(formatHeader), Buffer.alloc(1024)]);
  for await (const read of readLayerTar(input, { contentsElsewhere: true })) found.push(read);
  expect(found.map(({ path, size }) => [path.toString(), size])).toEqual([
    ["", 0],
    ["a", 70_000_000_000],
    ["b", 5],
  ]);
  expect(toRootPath("a")).toEqual(found[1]?.path);
});
