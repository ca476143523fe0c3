import { describe, expect, test } from "vitest";
import {
  baseName,
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPathToString,
  toRootPath,
} from "../../../src/layer/index.ts";

describe("toRootPath", () => {
  test.each([
    ["a/b", "a/b"],
    ["/a//b/./c/", "a/b/c"],
    ["./a", "a"],
    ["a/x/../b", "a/b"],
    ["", ""],
    ["/", ""],
    [".", ""],
    ["...", "..."],
    ["a/.hidden/..b", "a/.hidden/..b"],
  ])("%j is %j", (text, clean) => {
    expect(toRootPath(text).toString()).toBe(clean);
  });

  test.each(["..", "../a", "a/../../b", "/.."])("%j escapes", (text) => {
    expect(() => toRootPath(text)).toThrow(expect.objectContaining({ code: "LAYER_PATH_ESCAPES" }));
    expect(toRootPath(text, { beyondRoot: "stay" }).toString()).not.toContain("..");
  });

  test("a NUL is invalid", () => {
    expect(() => toRootPath("a\0b")).toThrow(
      expect.objectContaining({ code: "LAYER_PATH_INVALID" }),
    );
  });
});

test("rootPathToString escapes only what is not UTF-8", () => {
  expect(rootPathToString(Buffer.from("ä/\ufffd/日本"))).toBe("ä/\ufffd/日本");
  const broken = Buffer.concat([
    Buffer.from("é"),
    Buffer.from([0xe9, 0x2f, 0xff]),
    Buffer.from("x"),
  ]);
  expect(rootPathToString(broken)).toBe("é\\xe9/\\xffx");
});

test("parents and names", () => {
  const path = toRootPath("a/b");
  expect(parentRootPath(path)?.toString()).toBe("a");
  expect(parentRootPath(toRootPath("a"))?.toString()).toBe("");
  expect(parentRootPath(toRootPath(""))).toBeUndefined();
  expect(baseName(path).toString()).toBe("b");
  expect(joinRootPath(toRootPath(""), path).toString()).toBe("a/b");
  expect(joinRootPath(path, "c").toString()).toBe("a/b/c");
});

describe("resolvePath", () => {
  /** A value that ends in a slash is a directory, one with an arrow a symlink, else a file. */
  const nodes = new Map([
    ["usr", "/"],
    ["usr/lib", "/"],
    ["lib", "->usr/lib"],
    ["usr/lib/up", "->.."],
    ["abs", "->/usr"],
    ["out", "->../../../usr"],
    ["dangling", "->new/place"],
    ["self", "->self"],
    ["file", ""],
  ]);
  const tree = {
    lstat: async (path: Buffer) => {
      const node = nodes.get(path.toString());
      if (node === undefined) return undefined;
      const type = node === "/" ? "directory" : node === "" ? "file" : "symlink";
      return {
        type,
        mode: 0o755,
        uid: 0,
        gid: 0,
        size: 0,
        mtime: 0n,
        devMajor: 0,
        devMinor: 0,
        nlink: 1,
        inode: path.toString(),
      } as const;
    },
    readlink: async (path: Buffer) => Buffer.from((nodes.get(path.toString()) ?? "").slice(2)),
  };

  test.each([
    ["lib/libc.so", "usr/lib/libc.so"],
    ["/abs/lib", "usr/lib"],
    ["lib/up/x", "usr/x"],
    ["out/lib", "usr/lib"],
    // Taken after the link was followed, as the kernel does; not "usr" as the text alone says.
    ["lib/..", "usr"],
    ["../../usr", "usr"],
    ["missing/a/../b", "missing/b"],
    ["missing/../lib/x", "usr/lib/x"],
    ["file/lib", "file/lib"],
    ["dangling", "new/place"],
    ["", ""],
  ])("%j is %j", async (path, resolved) => {
    expect((await resolvePath(tree, path, { followLast: true })).toString()).toBe(resolved);
  });

  test("the last component stays a link unless asked", async () => {
    const resolved = await resolvePath(tree, "abs/lib/up", { followLast: false });
    expect(resolved.toString()).toBe("usr/lib/up");
  });

  test("relative paths begin at cwd, absolute ones do not", async () => {
    const cwd = toRootPath("lib");
    expect((await resolvePath(tree, "x", { followLast: true, cwd })).toString()).toBe("usr/lib/x");
    expect((await resolvePath(tree, "/x", { followLast: true, cwd })).toString()).toBe("x");
  });

  test("a loop ends", async () => {
    await expect(resolvePath(tree, "self/x", { followLast: true })).rejects.toMatchObject({
      code: "LAYER_SYMLINK_LOOP",
    });
  });
});
