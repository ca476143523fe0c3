import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../../src/core/index.ts";
import {
  listContainers,
  readContainers,
  writeContainer,
  type Container,
} from "../../../src/runtime/containers.ts";

let folder: string;
const places = () => ({ containers: join(folder, "containers"), tmp: join(folder, "tmp") });
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-containers-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

test("no folder, no containers", async () => {
  expect(await listContainers({ ...places(), containers: join(folder, "absent") })).toEqual([]);
});

test("the size of a container counts files at any depth, whatever their names, and follows no link", async () => {
  const directory = join(folder, "containers", "c0");
  await mkdir(join(directory, "fs", "deep", "er"), { recursive: true });
  const container = makeContainer({ status: "exited", exitCode: 0 });
  await writeContainer(directory, { container, tmpDir: folder });
  const [before] = await listContainers(places());
  await writeFile(join(directory, "fs", "deep", "er", "file"), "12345");
  await writeFile(Buffer.from(`${directory}/fs/not-utf8-\xff`, "latin1"), "123");
  await symlink("/proc", join(directory, "fs", "link"));
  const [after] = await listContainers(places());
  expect(after).toMatchObject({ id: "c0", image: "app:1", exitCode: 0 });
  expect((after?.size ?? 0) - (before?.size ?? 0)).toBe(8);
});

test("a container whose process is gone has ended, whatever stands in its record", async () => {
  await mkdir(join(folder, "tmp", "1-alive"), { recursive: true });
  for (const [id, owner] of [
    ["c1", "1-alive"],
    ["c2", "2-dead"],
    ["c3", undefined],
  ] as const) {
    await mkdir(join(folder, "containers", id), { recursive: true });
    const container = makeContainer({
      id,
      status: "running",
      ...(owner === undefined ? {} : { owner }),
    });
    await writeContainer(join(folder, "containers", id), { container, tmpDir: folder });
  }
  const found = await readContainers(places());
  expect(found.map(({ id, status }) => [id, status]).sort()).toEqual([
    ["c1", "running"],
    ["c2", "exited"],
    ["c3", "exited"],
  ]);
});

function makeContainer(fields: Partial<Container>): Container {
  return {
    id: "c0",
    image: "app:1",
    imageId: digestOf("config"),
    chainId: undefined,
    command: ["true"],
    created: "2026-01-01T00:00:00.000Z",
    status: "exited",
    ...fields,
  };
}
