import { copyFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, type TestContext } from "vitest";
import { runCli, type CliResult } from "../support/cli.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

interface Damage {
  readonly kind: string;
  readonly problem: string;
  readonly images?: readonly string[];
}

/** A store with one image of two layers, and what `system verify` says of it. */
async function storeWithImage(ctx: TestContext): Promise<{
  readonly root: string;
  build(): Promise<string>;
  cli(...args: string[]): Promise<CliResult>;
  verify(): Promise<{ readonly code: number; readonly damages: readonly Damage[] }>;
}> {
  if (process.getuid?.() !== 0) ctx.skip("the files of layers belong to root");
  const root = join(await temporaryFolder(), "root");
  const context = await temporaryFolder();
  await writeFile(join(context, "Dockerfile"), "FROM scratch\nCOPY one /one\nCOPY two /two\n");
  await writeFile(join(context, "one"), "the first");
  await writeFile(join(context, "two"), "the second");
  const cli = async (...args: string[]): Promise<CliResult> => runCli(args, { root });
  const build = async (): Promise<string> => {
    const { code, stdout, stderr } = await cli("-q", "-t", "app:1", context);
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };
  await build();
  const verify = async (): Promise<{ code: number; damages: readonly Damage[] }> => {
    const { code, stdout, stderr } = await cli("system", "verify", "--format", "json");
    expect(stderr).toBe("");
    const { damages } = JSON.parse(stdout) as { damages: readonly Damage[] };
    return { code, damages };
  };
  return { root, build, cli, verify };
}

/** The only file or folder in `folder` for which `isIt` holds. */
async function only(folder: string, isIt: (name: string) => boolean = () => true): Promise<string> {
  const [name, ...more] = (await readdir(folder)).filter(isIt);
  expect(more).toEqual([]);
  return join(folder, name ?? "nothing");
}

async function snapshotWith(root: string, file: string): Promise<string> {
  const folder = join(root, "snapshots");
  for (const name of await readdir(folder)) {
    const names = await readdir(join(folder, name, "fs")).catch((): string[] => []);
    if (names.includes(file)) return join(folder, name);
  }
  throw new Error(`no snapshot has ${file}`);
}

test("a store that is well says so", async (ctx) => {
  const { cli, verify } = await storeWithImage(ctx);
  expect(await verify()).toEqual({ code: 0, damages: [] });
  const { stdout } = await cli("system", "verify");
  expect(stdout).toBe(
    "Checked: 1 names, 1 images, 1 blobs, 2 snapshots, 0 containers\nnothing is damaged\n",
  );
});

test.for([
  {
    what: "a file of a layer that was cut short",
    damage: async (root: string) => truncate(join(await snapshotWith(root, "one"), "fs/one"), 3),
    found: [{ kind: "snapshot", problem: "holds other files than its layer" }],
  },
  {
    what: "a layer that is gone",
    damage: async (root: string) => rm(await snapshotWith(root, "two"), { recursive: true }),
    found: [{ kind: "image", problem: expect.stringMatching(/^has lost layer [0-9a-f]{12}$/) }],
  },
  {
    what: "a layer whose parent is gone",
    damage: async (root: string) => rm(await snapshotWith(root, "one"), { recursive: true }),
    found: [
      { kind: "image", problem: expect.stringContaining("has lost layer") },
      { kind: "image", problem: expect.stringContaining("has lost layer") },
      { kind: "snapshot", problem: "lacks its files or its parent" },
    ],
  },
  {
    what: "a config with other bytes",
    damage: async (root: string) => {
      const config = await only(join(root, "blobs/sha256"));
      await copyFile(join(root, "version.json"), config);
    },
    found: [
      { kind: "name", problem: expect.stringContaining("missing or damaged") },
      { kind: "image", problem: "has lost its config" },
      { kind: "blob", problem: expect.stringContaining("has other bytes") },
    ],
  },
  {
    what: "a record of a name that is none",
    damage: async (root: string) => writeFile(await only(join(root, "names")), "{"),
    found: [{ kind: "name", problem: "is no record of a name" }],
  },
])("tells of $what", async ({ damage, found }, ctx) => {
  const { root, verify, cli, build } = await storeWithImage(ctx);
  await damage(root);
  const { code, damages } = await verify();
  expect(code).toBe(1);
  expect(damages).toEqual(found.map((each) => expect.objectContaining(each)));

  // What it advises helps.
  if (damages.some(({ images = [] }) => images.length > 0)) {
    expect(await cli("rmi", "app:1")).toMatchObject({ code: 0 });
  }
  expect(await cli("system", "prune", "--all")).toMatchObject({ code: 0, stderr: "" });
  await build();
  expect(await verify()).toEqual({ code: 0, damages: [] });
});

test("layers of the other isolation's form are not lost; who wants them is told how to get them", async (ctx) => {
  const { verify, cli } = await storeWithImage(ctx);
  const context = await temporaryFolder();
  await writeFile(join(context, "Dockerfile"), "FROM scratch\nCOPY three /three\n");
  await writeFile(join(context, "three"), "the third");
  const chroot = ["--isolation", "chroot"];
  expect(await cli(...chroot, "build", "-q", "-t", "app:2", context)).toMatchObject({ code: 0 });
  expect(await verify()).toEqual({ code: 0, damages: [] });
  const save = (name: string): string[] => ["save", "-o", "/dev/null", name];
  const told = await cli(...save("app:2"));
  expect(told.stderr).toMatch(/\[LOCAL_LAYER_MISSING\]\nhint: say --isolation chroot/);
  expect(await cli(...chroot, ...save("app:2"))).toMatchObject({ code: 0 });
  expect((await cli(...chroot, ...save("app:1"))).stderr).toMatch(/\nhint: leave out --isolation/);
});
