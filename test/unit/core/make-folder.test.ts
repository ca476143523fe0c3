import type * as nodeFs from "node:fs";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { makeFolder } from "../../../src/core/index.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/** What others do right behind a call that failed. */
const behind = vi.hoisted(() => ({ failure: (_path: string): void => undefined }));

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof nodeFs>();
  const mkdir: typeof fs.mkdirSync = (path, options) => {
    try {
      return fs.mkdirSync(path, options);
    } catch (error) {
      const { failure } = behind;
      behind.failure = () => undefined;
      failure(String(path));
      throw error;
    }
  };
  return { ...fs, mkdirSync: mkdir };
});

beforeEach(() => {
  behind.failure = () => undefined;
});

test("folders are made with those above, and one that is there is success", async () => {
  const folder = join(await temporaryFolder(), "a/b/c");
  makeFolder(folder, 0o700);
  makeFolder(folder, 0o700);
  expect(statSync(folder).isDirectory()).toBe(true);
  expect(statSync(dirname(folder)).mode & 0o777).toBe(0o700);
});

test.each([
  ["the folder above", (path: string) => mkdirSync(dirname(path), { recursive: true })],
  ["the folder itself", (path: string) => mkdirSync(path, { recursive: true })],
])("somebody else makes %s in between", async (_what, failure) => {
  const folder = join(await temporaryFolder(), "a/b/c");
  behind.failure = failure;
  makeFolder(folder);
  expect(statSync(folder).isDirectory()).toBe(true);
});

test("a file that stands there or above is told, and so is a place that takes no folders", async () => {
  const folder = await temporaryFolder();
  writeFileSync(join(folder, "file"), "");
  expect(() => {
    makeFolder(join(folder, "file"));
  }).toThrow("EEXIST");
  expect(() => {
    makeFolder(join(folder, "file/a/b"));
  }).toThrow("ENOTDIR");
  expect(() => {
    makeFolder("/proc/none/of/these");
  }).toThrow("ENOENT");
});
