import { lstat, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { expect, test } from "vitest";
import { openOutputFile } from "../../../src/core/index.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

async function fill(path: string, text: string): ReturnType<typeof openOutputFile> {
  const file = await openOutputFile(path);
  await pipeline(Readable.from([text]), file.stream);
  return file;
}

test("a file is replaced when it is whole, and as it was when it is given up", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "file");
  await writeFile(path, "old");
  await (await fill(path, "half")).remove();
  expect(await readFile(path, "utf8")).toBe("old");
  const file = await fill(path, "new");
  expect(await readFile(path, "utf8")).toBe("old");
  await file.commit();
  await file.remove();
  expect(await readFile(path, "utf8")).toBe("new");
  expect(await readdir(folder)).toEqual(["file"]);
});

test("a symlink stays, whatever comes of what it points to", async () => {
  const folder = await temporaryFolder();
  const link = join(folder, "link");
  await symlink("file", link);
  for (const text of ["made", "written over"]) {
    const file = await fill(link, text);
    await file.commit();
    await file.remove();
    expect(await readFile(join(folder, "file"), "utf8")).toBe(text);
  }
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
});
