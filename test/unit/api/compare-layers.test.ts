import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { compareDocuments } from "../../../src/api/compare/compare-documents.ts";
import { compareLayers } from "../../../src/api/compare/compare-layers.ts";
import { toRootPath, type LayerEntryWithContent } from "../../../src/layer/index.ts";

function entry(path: string, rest: Partial<LayerEntryWithContent> = {}): LayerEntryWithContent {
  const looks = { mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: 0 };
  return { path: toRootPath(path), type: "file", ...looks, ...rest };
}

function file(path: string, content: string, rest: Partial<LayerEntryWithContent> = {}) {
  const bytes = Buffer.from(content);
  return entry(path, { size: bytes.length, read: () => bytes, ...rest });
}

const compare = async (
  first: readonly LayerEntryWithContent[],
  second: readonly LayerEntryWithContent[],
) => compareLayers(Readable.from(first), Readable.from(second));

describe("the first difference of two layers", () => {
  test("is none where all is the same", async () => {
    const layer = () => [entry("d", { type: "directory" }), file("d/a", "x")];
    expect(await compare(layer(), layer())).toBeUndefined();
    expect(await compare([], [])).toBeUndefined();
  });

  test("is the entry that only one of them has", async () => {
    expect(await compare([file("a", "1"), file("b", "22")], [file("a", "1")])).toEqual({
      ...{ path: "/b", field: "entry", first: "file of 2 bytes", second: "nothing" },
    });
    expect(
      await compare([file("b", "1")], [entry("a", { type: "directory" }), file("b", "1")]),
    ).toEqual({
      ...{ path: "/a", field: "entry", first: "nothing", second: "directory" },
    });
  });

  test("knows the order of layers: children after parents, whiteouts before names", async () => {
    const inner = [entry("a", { type: "directory" }), entry("a/z"), entry("a.b")];
    expect(
      await compare(
        inner,
        inner.filter((_, index) => index !== 1),
      ),
    ).toMatchObject({
      ...{ path: "/a/z", second: "nothing" },
    });
    expect(await compare([entry(".wh.z"), entry("a")], [entry("a")])).toMatchObject({
      ...{ path: "/.wh.z", second: "nothing" },
    });
    expect(await compare([entry("+")], [entry(".wh.z"), entry("+")])).toMatchObject({
      ...{ path: "/.wh.z", first: "nothing" },
    });
  });

  test.each([
    ["mode", { mode: 0o4755 }, "0644", "04755"],
    ["uid", { uid: 1000 }, "0", "1000"],
    ["gid", { gid: 5 }, "0", "5"],
    [
      "mtime",
      { mtime: 1_500_000_001n },
      "1970-01-01T00:00:00.000000000Z",
      "1970-01-01T00:00:01.500000001Z",
    ],
    ["mtime", { mtime: -1n }, "1970-01-01T00:00:00.000000000Z", "1969-12-31T23:59:59.999999999Z"],
    ["type", { type: "symlink", linkTarget: Buffer.from("x") }, "file", "symlink"],
    ["device", { devMajor: 1, devMinor: 3 }, "0:0", "1:3"],
    ["xattrs", { xattrs: new Map([["user.a", Buffer.from([1, 255])]]) }, "none", "user.a=01ff"],
  ] as const)("names the field %s", async (field, rest, first, second) => {
    expect(await compare([entry("f")], [entry("f", rest)])).toEqual({
      path: "/f",
      field,
      first,
      second,
    });
  });

  test("is a time only where nothing else differs", async () => {
    const first = [entry("d", { type: "directory", mtime: 1n }), file("d/f", "one")];
    const second = [
      entry("d", { type: "directory", mtime: 2n }),
      file("d/f", "two", { mtime: 5n }),
    ];
    expect(await compare(first, second)).toEqual({
      ...{ path: "/d/f", field: "content", first: '"one" at byte 0', second: '"two" at byte 0' },
    });
    expect(await compare([file("f", "a\x1f")], [file("f", "a\x7f")])).toMatchObject({
      ...{ first: "1f at byte 1", second: "7f at byte 1" },
    });
  });

  test("tells where contents differ, however they are read", async () => {
    const large = Buffer.alloc(700_000, "a");
    const changed = Buffer.from(large);
    changed[600_000] = 0x0a;
    const streamed = (bytes: Buffer, step: number) =>
      entry("f", {
        size: bytes.length,
        open: () =>
          Readable.from(
            Array.from({ length: Math.ceil(bytes.length / step) }, (_, n) =>
              bytes.subarray(n * step, (n + 1) * step),
            ),
          ),
      });
    expect(await compare([streamed(large, 1000)], [streamed(changed, 65_536)])).toEqual({
      path: "/f",
      field: "content",
      first: `"${"a".repeat(24)}" at byte 600000`,
      second: `"\\n${"a".repeat(23)}" at byte 600000`,
    });
    expect(await compare([streamed(large, 999)], [file("f", large.toString())])).toBeUndefined();
  });
});

test("documents differ where their values do", () => {
  const first = { a: 1, list: [{ created: "x" }, 2], same: { deep: [1] } };
  const second = { a: 1, list: [{ created: "y" }, 2, 3], same: { deep: [1] } };
  expect(compareDocuments(first, first)).toEqual([]);
  expect(compareDocuments(first, second)).toEqual([
    { path: "list[0].created", first: '"x"', second: '"y"' },
    { path: "list[2]", first: "nothing", second: "3" },
  ]);
  expect(compareDocuments({ a: [] }, { a: {} })).toEqual([
    { path: "a", first: "[]", second: "{}" },
  ]);
});
