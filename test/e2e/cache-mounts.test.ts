import { mkdir, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startLocalServer } from "../support/local-server.ts";
import { startObjectStorage, type ObjectStorage } from "../support/object-storage-process.ts";
import { relay } from "../support/relay.ts";
import { useWorkspace } from "../support/setup-workspace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

let storage: ObjectStorage;
beforeAll(async () => {
  storage = await startObjectStorage();
});
afterAll(async () => storage.stop());

/** Credentials come by the environment, as in a CI job. */
const credentials = (): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: storage.accessKeyId,
  AWS_SECRET_ACCESS_KEY: storage.secretAccessKey,
});

/** A build that adds a line to a cache and tells all that it found there. */
async function useCache(
  root: string,
  word: string,
  options: { readonly env?: Record<string, string> } = {},
) {
  const folder = await context({
    Dockerfile: [
      "FROM BUSYBOX",
      `RUN --mount=type=cache,id=npm,target=/c --mount=type=cache,target=/d,mode=0700 cat /c/log; echo ${word} >> /c/log; head -c 300000 /dev/urandom > /d/${word}`,
      `RUN --mount=type=cache,id=npm,target=/c : ${word}; echo then $(cat /c/log)`,
    ].join("\n"),
  });
  const built = await expectCli(["--progress", "plain", "-o", "type=cacheonly", folder], {
    root,
    ...options,
  });
  return built.stderr;
}

const places: readonly [string, () => Promise<string>][] = [
  ["a registry", async () => Promise.resolve(`docker://${workspace.registry.host}/cache:mounts`)],
  ["a directory", temporaryFolder],
  [
    "a bucket",
    async () =>
      Promise.resolve(`type=s3,bucket=cache,prefix=e2e/,endpoint_url=http://${storage.host}`),
  ],
  ["a file", async () => `oci-archive:${await temporaryFolder()}/caches.tar`],
];

describe.each(places)("cache mounts that travel by %s", (_, makePlace) => {
  test("are found by builds on another machine", async () => {
    const place = await makePlace();
    const [here, there, third] = [
      await workspace.freshRoot(),
      await workspace.freshRoot(),
      await workspace.freshRoot(),
    ];
    await useCache(here, "one");
    const first = await expectCli(["cache", "export", "--mounts", place], {
      root: here,
      env: credentials(),
    });
    expect(first.stdout).toMatch(
      /^\/d: 300kB in 1 file\nnpm: 4B in 1 file\nsent 30\dkB of new content\n$/,
    );

    await expectCli(["cache", "import", "--mounts", place], { root: there, env: credentials() });
    expect(await useCache(there, "two")).toMatch(/^#\d+ \S+ one$/m);
    const second = await expectCli(["cache", "export", "--mounts", "--format", "json", place], {
      root: there,
      env: credentials(),
    });
    const told = JSON.parse(second.stdout) as {
      sent: { bytes: number };
      mounts: { files: number }[];
    };
    expect(told.mounts.map(({ files }) => files)).toEqual([2, 1]);
    expect(told.sent.bytes).toBeLessThan(700_000);

    const again = await expectCli(["cache", "export", "--mounts", place], {
      root: there,
      env: credentials(),
    });
    expect(again.stdout).toContain("sent 0B of new content\n");

    await expectCli(["cache", "import", "--mounts", "npm", place], {
      root: third,
      env: credentials(),
    });
    expect(await readdir(join(third, "mounts-cache"))).toHaveLength(1);
    expect(await useCache(third, "three")).toMatch(/then one two three$/m);
  });
});

test("the first import finds nothing, and that is no failure", async () => {
  const root = await workspace.freshRoot();
  const nowhere = `docker://${workspace.registry.host}/nothing:yet`;
  const missing = await expectCli(["cache", "import", "--mounts", nowhere], { root });
  expect(missing.stderr).toContain("has no cache mounts yet");
  const closed = await expectCli(["cache", "import", "--mounts", "docker://127.0.0.1:1/cache"], {
    root,
  });
  expect(closed.stderr).toContain("are not used");
  const strict = await cli(
    ["cache", "import", "--mounts", "--strict", "docker://127.0.0.1:1/cache"],
    { root },
  );
  expect(strict.code).toBe(1);
  const image = await expectCli(["cache", "import", "--mounts", `docker://${workspace.busybox}`], {
    root,
  });
  expect(image.stderr).toContain("it is something else");
});

test("an export does not take the name of an image, and without caches does nothing", async () => {
  const root = await workspace.freshRoot();
  const nothing = await expectCli(
    ["cache", "export", "--mounts", `docker://${workspace.registry.host}/none`],
    { root },
  );
  expect(nothing.stderr).toContain("no cache mounts here to export");
  await useCache(root, "one");
  const image = await cli(["cache", "export", "--mounts", `docker://${workspace.busybox}`], {
    root,
  });
  expect(image).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("CACHE_MOUNTS_NOT_FOUND"),
  });
  const lenient = await expectCli(
    ["cache", "export", "--mounts", "--ignore-error", `docker://${workspace.busybox}`],
    { root },
  );
  expect(lenient.stderr).toContain("something else");
});

test("a damaged place is a warning, and a hit of nothing", async () => {
  const [root, other] = [await workspace.freshRoot(), await workspace.freshRoot()];
  const place = await temporaryFolder();
  await useCache(root, "one");
  await expectCli(["cache", "export", "--mounts", place], { root });
  const blobs = join(place, "blobs/sha256");
  for (const name of await readdir(blobs)) {
    const bytes = await readFile(join(blobs, name));
    if (isJson(bytes)) continue;
    bytes.writeUInt8(bytes.readUInt8(9) ^ 255, 9);
    await writeFile(join(blobs, name), bytes);
  }
  const { stderr } = await expectCli(["cache", "import", "--mounts", place], { root: other });
  expect(stderr).toMatch(/are not used: .*digest mismatch/);
  expect(await useCache(other, "two")).toMatch(/then two$/m);
});

/** More than the first byte has to say so: packs are of random bytes. */
function isJson(bytes: Buffer): boolean {
  try {
    return typeof JSON.parse(bytes.toString()) === "object";
  } catch {
    return false;
  }
}

test("calls that mean nothing are wrong usage", async () => {
  const place = await temporaryFolder();
  for (const args of [
    ["export", place],
    ["import", place],
    ["export", "--mounts", "docker-archive:x.tar"],
    ["export", "--mounts", "--max-size", "large", place],
    ["export", "--mounts", "--max-age", "old", place],
  ]) {
    expect(await cli(["cache", ...args])).toMatchObject({ code: 2 });
  }
  const wrong = { env: { TSBUILD_CACHE_MOUNTS: "maybe" } };
  expect(await cli(["cache", "export", "--mounts", place], wrong)).toMatchObject({ code: 2 });
});

test("read-only: builds work on copies, and nothing leaves", async () => {
  const root = await workspace.freshRoot();
  const place = join(await temporaryFolder(), "caches");
  const env = { TSBUILD_CACHE_MOUNTS: "read-only" };
  await useCache(root, "trusted");
  const inside = await useCache(root, "stranger", { env });
  expect(inside).toMatch(/^#\d+ \S+ trusted$/m);
  expect(inside).toMatch(/then trusted stranger$/m);
  const refused = await expectCli(["cache", "export", "--mounts", place], { root, env });
  expect(refused.stderr).toContain("read-only");
  await expect(readdir(place)).rejects.toMatchObject({ code: "ENOENT" });
  expect(await useCache(root, "later")).toMatch(/then trusted later$/m);
  // What is thrown away for --no-cache is the copy.
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nRUN --mount=type=cache,id=npm,target=/c echo has [$(ls /c)]\n",
  });
  const fresh = await expectCli(
    ["--progress", "plain", "--no-cache", "-o", "type=cacheonly", folder],
    { root, env },
  );
  expect(fresh.stderr).toMatch(/has \[\]$/m);
  expect(await useCache(root, "last")).toMatch(/then trusted later last$/m);
});

test("--sweep removes from a directory what nothing leads to, and what is older than a day", async () => {
  const root = await workspace.freshRoot();
  const place = await temporaryFolder();
  await useCache(root, "one");
  await expectCli(["cache", "export", "--mounts", place], { root });
  const blobs = join(place, "blobs/sha256");
  const named = await readdir(blobs);
  const [old, young] = ["0".repeat(64), "1".repeat(64)];
  for (const name of [old, young]) await writeFile(join(blobs, name), "left");
  const longAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of [...named, old]) await utimes(join(blobs, name), longAgo, longAgo);
  await expectCli(["cache", "export", "--mounts", place], { root });
  expect(await readdir(blobs)).toContain(old);
  await expectCli(["cache", "export", "--mounts", "--sweep", place], { root });
  expect(new Set(await readdir(blobs))).toEqual(new Set([...named, young]));
  const elsewhere = `docker://${workspace.registry.host}/swept:mounts`;
  expect(await cli(["cache", "export", "--mounts", "--sweep", elsewhere])).toMatchObject({
    code: 2,
  });
});

test("two that export to one name of a bucket at the same time: the ids of both are there", async () => {
  const cacheOf = async (id: string): Promise<string> => {
    const root = await workspace.freshRoot();
    const folder = await context({
      Dockerfile: `FROM BUSYBOX\nRUN --mount=type=cache,id=${id},target=/c echo ${id} >/c/word\n`,
    });
    await expectCli(["-o", "type=cacheonly", folder], { root });
    return root;
  };
  const [one, other] = [await cacheOf("one"), await cacheOf("other")];
  const place = (host: string): string =>
    `type=s3,bucket=cache,prefix=two/,use_path_style=true,endpoint_url=http://${host}`;
  const exportFrom = (root: string, host: string) =>
    expectCli(["cache", "export", "--mounts", place(host)], { root, env: credentials() });
  let looks = 0;
  const { origin } = await startLocalServer(async (request, response) => {
    // The first look finds what there is; the second one is just before the name is given.
    if (request.method === "GET" && /\/manifests\//.test(request.url ?? "") && ++looks === 2) {
      await exportFrom(other, storage.host);
    }
    await relay(storage.host, request, response);
  });
  await exportFrom(one, new URL(origin).host);
  expect(looks).toBeGreaterThan(2);
  const after = await workspace.freshRoot();
  const imported = await expectCli(
    ["cache", "import", "--mounts", "--strict", place(storage.host)],
    { root: after, env: credentials() },
  );
  expect(imported.stdout + imported.stderr).toMatch(/one[^]*other|other[^]*one/);
});

test("20 machines that export to one name at the same time leave one whole set there", async () => {
  const place = `docker://${workspace.registry.host}/busy:mounts`;
  const root = await workspace.freshRoot();
  await useCache(root, "shared");
  await expectCli(["cache", "export", "--mounts", place], { root });
  const machines = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const own = await workspace.freshRoot();
      const data = join(own, "seed");
      await mkdir(data);
      return { own, index };
    }),
  );
  await Promise.all(
    machines.map(async ({ own }) =>
      expectCli(["cache", "import", "--mounts", place], { root: own }),
    ),
  );
  for (const { own, index } of machines) {
    const [folder] = await readdir(join(own, "mounts-cache"));
    await writeFile(
      join(own, "mounts-cache", folder ?? "", "0/data", `m${String(index)}`),
      `machine ${String(index)}`,
    );
  }
  await Promise.all(
    machines.map(async ({ own }) =>
      expectCli(["cache", "export", "--mounts", place], { root: own }),
    ),
  );
  const after = await workspace.freshRoot();
  await expectCli(["cache", "import", "--mounts", "--strict", place], { root: after });
  const folders = await readdir(join(after, "mounts-cache"));
  const files = await Promise.all(
    folders.map(async (name) => readdir(join(after, "mounts-cache", name, "0/data"))),
  );
  expect(files.flat().filter((name) => /^m\d+$/.test(name))).toHaveLength(1);
  await rm(after, { recursive: true });
});
