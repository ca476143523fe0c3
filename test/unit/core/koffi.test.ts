import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { koffiVersion, loadKoffi } from "../../../src/core/syscalls/koffi.ts";

test("the version that is loaded is the one that package.json asks for", async () => {
  const text = await readFile(new URL("../../../package.json", import.meta.url), "utf8");
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  expect(dependencies["koffi"]).toBe(koffiVersion);
  expect(loadKoffi().version).toBe(koffiVersion);
});

test("the package's scripts are not read where the binary lies as npm lays it", () => {
  loadKoffi();
  const scripts = Object.keys(createRequire(import.meta.url).cache);
  expect(scripts.filter((path) => path.includes("koffi"))).toEqual([]);
});
