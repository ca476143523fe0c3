import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { defaultRoot, openStore } from "../../../src/store/index.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { withStore } from "../../support/with-store.ts";

test("the default root", () => {
  const home = { HOME: "/home/me" };
  expect(defaultRoot({ TSBUILD_ROOT: "/state" }, 0)).toBe("/state");
  expect(defaultRoot(home, 0)).toBe("/var/lib/tsbuild");
  expect(defaultRoot(home, 1000)).toBe("/home/me/.local/share/tsbuild");
  expect(defaultRoot({ ...home, XDG_DATA_HOME: "/data" }, 1000)).toBe("/data/tsbuild");
  expect(defaultRoot({ ...home, XDG_DATA_HOME: "data" }, 1000)).toBe(
    "/home/me/.local/share/tsbuild",
  );
  expect(defaultRoot({ TSBUILD_ROOT: "", XDG_DATA_HOME: "/data" }, 1000)).toBe("/data/tsbuild");
});

test("opening makes the root, closed to others, with its format", async () => {
  const root = join(await temporaryFolder(), "deep/state");
  await withStore({ root });
  expect((await stat(root)).mode & 0o777).toBe(0o700);
  expect(JSON.parse(await readFile(join(root, "version.json"), "utf8"))).toEqual({ format: 1 });
});

test("closing removes this process' folder, twice is once", async () => {
  const { store, root } = await withStore();
  await writeFile(join(store.tmpDir, "left"), "over");
  await Promise.all([store.close(), store.close()]);
  expect(await readdir(join(root, "tmp"))).toEqual([]);
});

test("a root of a newer format is refused", async () => {
  const root = await temporaryFolder();
  await writeFile(join(root, "version.json"), '{"format":2}');
  await expect(openStore({ root })).rejects.toMatchObject({
    code: "STORE_FORMAT_UNSUPPORTED",
    details: { format: 2 },
  });
  expect(await readdir(root)).toEqual(["version.json"]);
});

test("a damaged version marker is written again", async () => {
  const root = await temporaryFolder();
  await writeFile(join(root, "version.json"), '{"form');
  await withStore({ root });
  expect(JSON.parse(await readFile(join(root, "version.json"), "utf8"))).toEqual({ format: 1 });
});

test("a root that is a file, or below one, is unavailable", async () => {
  const file = join(await temporaryFolder(), "file");
  await writeFile(file, "");
  for (const root of [file, join(file, "below")]) {
    await expect(openStore({ root })).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  }
});

test("a folder that somebody removed by hand comes back", async () => {
  const { root, store } = await withStore();
  await rm(join(root, "names"), { recursive: true });
  await rm(join(root, "blobs"), { recursive: true });
  const { digest, size } = await store.blobs.writeBytes(Buffer.from("x"));
  await store.names.set({ name: "x", descriptor: { mediaType: "text/plain", digest, size } });
  expect(await store.names.list()).toHaveLength(1);
});

test("a root with a path longer than a socket address works, and its processes are told apart", async () => {
  const root = join(await temporaryFolder(), "long/".repeat(40));
  const first = await withStore({ root });
  await mkdir(join(root, "tmp/old-0123456789abcdef/sub"), { recursive: true });
  const second = await withStore({ root });
  expect((await second.store.sweep()).failures).toEqual([]);
  expect((await readdir(join(root, "tmp"))).sort()).toEqual(
    [first.store.tmpDir, second.store.tmpDir]
      .map((path) => path.slice(path.lastIndexOf("/") + 1))
      .sort(),
  );
  await first.store.protect(async () => {
    expect(await second.store.tryExclusive(async () => "in")).toBeUndefined();
  });
  expect(await second.store.tryExclusive(async () => "in")).toBe("in");
  await first.store.close();
  expect(await readdir(join(root, "tmp"))).toHaveLength(1);
});

test("sync returns once the filesystem is flushed", async () => {
  const { store } = await withStore();
  await store.sync();
});
