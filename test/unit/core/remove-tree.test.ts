import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeTree } from "../../../src/core/index.ts";
import { makeDeepTree } from "../../support/deep-tree.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

test("removes a tree with names that are not UTF-8, and follows no symlink", async () => {
  const folder = await temporaryFolder();
  const kept = join(folder, "kept");
  await mkdir(kept);
  await writeFile(join(kept, "file"), "");
  const tree = join(folder, "tree");
  const odd = Buffer.concat([Buffer.from(`${tree}/deep/`), Buffer.from([0xff, 0xe4])]);
  await mkdir(join(tree, "deep"), { recursive: true });
  await mkdir(odd);
  await writeFile(Buffer.concat([odd, Buffer.from("/f")]), "");
  await symlink(kept, join(tree, "deep", "link"));
  await removeTree(tree);
  expect(existsSync(tree)).toBe(false);
  expect(await readdir(kept)).toEqual(["file"]);
});

test("removes a file, a symlink alone, and nothing", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "file"), "");
  await symlink(join(folder, "file"), join(folder, "link"));
  await removeTree(join(folder, "link"));
  expect(await readdir(folder)).toEqual(["file"]);
  await removeTree(join(folder, "file"));
  await removeTree(join(folder, "file"));
  expect(await readdir(folder)).toEqual([]);
});
test("removes a tree with raw names and closed folders, and not what its links point at", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "keep"));
  await writeFile(join(folder, "keep/me"), "x");
  const tree = join(folder, "tree");
  await mkdir(join(tree, "a/b"), { recursive: true });
  await writeFile(Buffer.concat([Buffer.from(`${tree}/a/`), Buffer.from([0xff, 0xfe])]), "x");
  await symlink("../keep", join(tree, "link"));
  await writeFile(join(tree, "a/b/c"), "x");
  await chmod(join(tree, "a/b"), 0o000);
  await chmod(join(tree, "a"), 0o500);
  await removeTree(tree);
  expect(await readdir(folder)).toEqual(["keep"]);
  expect(await readdir(join(folder, "keep"))).toEqual(["me"]);
});

test("removes a tree that is deeper than a path is long", async () => {
  const folder = await temporaryFolder();
  const top = join(folder, "top");
  await mkdir(top);
  makeDeepTree(top);
  await removeTree(top);
  expect(await readdir(folder)).toEqual([]);
});

test("removing what is not there is success, and two may remove at once", async () => {
  const folder = await temporaryFolder();
  await removeTree(join(folder, "absent"));
  const tree = join(folder, "tree");
  for (let index = 0; index < 50; index++)
    await mkdir(join(tree, `${String(index % 7)}/${String(index)}`), { recursive: true });
  await Promise.all([removeTree(tree), removeTree(tree), removeTree(tree)]);
  expect(await readdir(folder)).toEqual([]);
});

test("an abort stops it and leaves the rest", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "tree/a"), { recursive: true });
  await expect(removeTree(join(folder, "tree"), AbortSignal.abort())).rejects.toMatchObject({
    name: "AbortError",
  });
  expect(await readdir(folder)).toEqual(["tree"]);
});
