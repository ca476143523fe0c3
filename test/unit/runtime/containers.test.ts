import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import { listContainers, writeContainer } from "../../../src/runtime/containers.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-containers-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

test("no folder, no containers", async () => {
  expect(await listContainers(join(folder, "absent"))).toEqual([]);
});

test("the size of a container counts files at any depth, whatever their names, and follows no link", async () => {
  const directory = join(folder, "containers", "c0");
  await mkdir(join(directory, "fs", "deep", "er"), { recursive: true });
  const container = {
    id: "c0",
    image: "app:1",
    imageId: digestOf("config"),
    chainId: undefined,
    command: ["true"],
    created: "2026-01-01T00:00:00.000Z",
    status: "exited" as const,
    exitCode: 0,
  };
  await writeContainer(directory, { container, tmpDir: folder });
  const [before] = await listContainers(join(folder, "containers"));
  await writeFile(join(directory, "fs", "deep", "er", "file"), "12345");
  await writeFile(Buffer.from(`${directory}/fs/not-utf8-\xff`, "latin1"), "123");
  await symlink("/proc", join(directory, "fs", "link"));
  const [after] = await listContainers(join(folder, "containers"));
  expect(after).toMatchObject({ id: "c0", image: "app:1", exitCode: 0 });
  expect((after?.size ?? 0) - (before?.size ?? 0)).toBe(8);
});
