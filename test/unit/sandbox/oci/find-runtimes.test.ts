import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openSandbox } from "../../../../src/sandbox/index.ts";
import { findRuntimes } from "../../../../src/sandbox/oci/find-runtimes.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-runtimes-"));
  vi.stubEnv("PATH", `relative:${folder}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

test("finds executables of PATH, the fastest first", async () => {
  await writeFile(join(folder, "runc"), "", { mode: 0o755 });
  await writeFile(join(folder, "youki"), "", { mode: 0o644 });
  await writeFile(join(folder, "crun"), "", { mode: 0o755 });
  expect(await findRuntimes(undefined)).toEqual([
    { name: "crun", path: join(folder, "crun") },
    { name: "runc", path: join(folder, "runc") },
  ]);
});

test("finds the one that was asked for, by name or path, and no other", async () => {
  await writeFile(join(folder, "runc"), "", { mode: 0o755 });
  await writeFile(join(folder, "other"), "", { mode: 0o755 });
  const path = join(folder, "other");
  expect(await findRuntimes("other")).toEqual([{ name: "other", path }]);
  expect(await findRuntimes(path)).toEqual([{ name: path, path }]);
  expect(await findRuntimes("crun")).toEqual([]);
});

test("without a runtime the oci sandbox is unavailable, and nothing else is taken instead", async () => {
  const stateDir = join(folder, "state");
  await expect(openSandbox("oci", { stateDir })).rejects.toMatchObject({
    code: "SANDBOX_UNAVAILABLE",
    hint: expect.stringMatching(/./),
  });
});
