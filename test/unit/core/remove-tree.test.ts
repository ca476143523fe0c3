import { existsSync } from "node:fs";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeTree } from "../../../src/core/index.ts";
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
