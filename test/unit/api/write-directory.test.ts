import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeDirectory } from "../../../src/api/output/directory-output.ts";
import { createDirectoryTree, writeTree } from "../../support/directory-tree.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

type Files = Parameters<typeof writeTree>[1];

async function setUp(image: Files, there: Files = {}) {
  const folder = await temporaryFolder();
  const [root, directory] = [join(folder, "image"), join(folder, "out")];
  await mkdir(root);
  await mkdir(directory);
  await writeTree(root, image);
  await writeTree(directory, there);
  const write = async (options: { mode?: "copy" | "delete"; mtime?: bigint } = {}) =>
    writeDirectory({ tree: createDirectoryTree(root), directory, mode: "copy", ...options });
  return { folder, root, directory, write };
}

describe("what is written [7.2]", () => {
  test("files, folders and links with their modes and times", async () => {
    const { root, directory, write } = await setUp({
      "bin/tool": "#!",
      "empty/": "",
      link: { symlink: "/etc/passwd" },
      "bin/dangling": { symlink: "../nowhere" },
    });
    await chmod(join(root, "bin/tool"), 0o751);
    await chmod(join(root, "empty"), 0o1777);
    await utimes(join(root, "bin/tool"), 1000, 1000);
    await utimes(join(root, "bin"), 2000, 2000);
    await write();
    const tool = await lstat(join(directory, "bin/tool"));
    expect([tool.mode & 0o7777, tool.mtimeMs]).toEqual([0o751, 1_000_000]);
    expect((await lstat(join(directory, "bin"))).mtimeMs).toBe(2_000_000);
    expect((await lstat(join(directory, "empty"))).mode & 0o7777).toBe(0o1777);
    expect(await readlink(join(directory, "link"))).toBe("/etc/passwd");
    expect(await readlink(join(directory, "bin/dangling"))).toBe("../nowhere");
  });

  test("names of one file stay names of one file", async () => {
    const { root, directory, write } = await setUp({ "a/one": "1", "b/": "" });
    await link(join(root, "a/one"), join(root, "b/two"));
    for (let round = 0; round < 2; round++) {
      await write();
      const [one, two] = [
        await lstat(join(directory, "a/one")),
        await lstat(join(directory, "b/two")),
      ];
      expect(two.ino).toBe(one.ino);
    }
    expect(await readdir(directory, { recursive: true })).toHaveLength(4);
  });

  test("every time can be one time", async () => {
    const { directory, write } = await setUp({ "a/f": "1", l: { symlink: "a" } });
    await write({ mtime: 86_400_000_000_000n });
    for (const name of ["a", "a/f", "l"])
      expect((await lstat(join(directory, name))).mtimeMs, name).toBe(86_400_000);
  });

  test("copy keeps what else is there, delete removes it", async () => {
    const there = { "old/deep/f": "old", "a/stale": "old", "a/f": "old" };
    const { directory, write } = await setUp({ "a/f": "new" }, there);
    await write();
    expect((await readdir(directory, { recursive: true })).sort()).toEqual([
      ...["a", "a/f", "a/stale", "old", "old/deep", "old/deep/f"],
    ]);
    expect(await readFile(join(directory, "a/f"), "utf8")).toBe("new");
    await write({ mode: "delete" });
    expect((await readdir(directory, { recursive: true })).sort()).toEqual(["a", "a/f"]);
  });

  test("a folder takes the place of a file, and a file that of a folder", async () => {
    const { directory, write } = await setUp({ "a/f": "1", b: "2" }, { a: "x", "b/deep/f": "x" });
    await write();
    expect(await readFile(join(directory, "a/f"), "utf8")).toBe("1");
    expect(await readFile(join(directory, "b"), "utf8")).toBe("2");
  });

  test("files belong to the caller, and run as nobody else's [7.2]", async (test) => {
    if (process.getuid?.() !== 0) test.skip("only root can give files away");
    const { root, directory, write } = await setUp({ theirs: "x", ours: "x" });
    await chown(join(root, "theirs"), 33, 34);
    await chmod(join(root, "theirs"), 0o6755);
    await chmod(join(root, "ours"), 0o4755);
    await write();
    const theirs = await lstat(join(directory, "theirs"));
    expect([theirs.uid, theirs.gid, theirs.mode & 0o7777]).toEqual([0, 0, 0o755]);
    expect((await lstat(join(directory, "ours"))).mode & 0o7777).toBe(0o4755);
  });
});

describe("no symlink is followed", () => {
  test("one that lies where a folder has to be is replaced", async () => {
    const { folder, directory, write } = await setUp({ "etc/passwd": "root::0:0" });
    await mkdir(join(folder, "host"));
    await writeFile(join(folder, "host/passwd"), "untouched");
    await symlink(join(folder, "host"), join(directory, "etc"));
    await write();
    expect(await readFile(join(folder, "host/passwd"), "utf8")).toBe("untouched");
    expect((await lstat(join(directory, "etc"))).isDirectory()).toBe(true);
    expect(await readFile(join(directory, "etc/passwd"), "utf8")).toBe("root::0:0");
  });

  test("one that lies where a file has to be is replaced", async () => {
    const { folder, directory, write } = await setUp({ f: "from the image" });
    await writeFile(join(folder, "victim"), "untouched");
    await symlink(join(folder, "victim"), join(directory, "f"));
    await write();
    expect(await readFile(join(folder, "victim"), "utf8")).toBe("untouched");
    expect(await readFile(join(directory, "f"), "utf8")).toBe("from the image");
  });

  test("removing what is not in the image does not reach through one", async () => {
    const { folder, directory, write } = await setUp({ "a/f": "1" });
    await mkdir(join(folder, "host"));
    await writeFile(join(folder, "host/precious"), "untouched");
    for (const name of ["a", "other"]) await symlink(join(folder, "host"), join(directory, name));
    await write({ mode: "delete" });
    expect(await readFile(join(folder, "host/precious"), "utf8")).toBe("untouched");
    expect(await readdir(directory)).toEqual(["a"]);
  });

  test("one of the image, on which a second image lays a folder", async () => {
    const { folder, directory, write } = await setUp({ data: { symlink: "../host" } });
    await mkdir(join(folder, "host"));
    await write();
    const second = join(folder, "second");
    await writeTree(second, { "data/f": "2" });
    await writeDirectory({ tree: createDirectoryTree(second), directory, mode: "copy" });
    expect(await readdir(join(folder, "host"))).toEqual([]);
    expect(await readFile(join(directory, "data/f"), "utf8")).toBe("2");
  });

  test("one that has the name of a platform's own folder", async () => {
    const { folder, root, directory } = await setUp({ f: "1" });
    await mkdir(join(folder, "host"));
    await symlink(join(folder, "host"), join(directory, "linux_arm64"));
    const tree = createDirectoryTree(root);
    await writeDirectory({ tree, directory, folder: "linux_arm64", mode: "copy" });
    expect(await readdir(join(folder, "host"))).toEqual([]);
    expect(await readFile(join(directory, "linux_arm64/f"), "utf8")).toBe("1");
  });
});
