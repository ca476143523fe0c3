import { readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  pruneBuilder,
  type CacheListing,
  type InspectedItem,
  type PruneCacheOptions,
} from "../../src/api/index.ts";
import { outcomesOf } from "../support/setup-progress.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli } = workspace;

async function built(): Promise<{ readonly root: string; readonly folder: string }> {
  const root = await workspace.freshRoot();
  const folder = await context({
    Dockerfile:
      "FROM BUSYBOX\nWORKDIR /app\nCOPY src/ ./src/\nRUN head -c 3000000 /dev/zero >/big\nRUN echo last >/last\n",
    "src/a.txt": "a\n",
    "src/b.txt": "b\n",
  });
  await expectCli(["-t", "cached:1", folder], { root });
  return { root, folder };
}

async function list(root: string, ...flags: readonly string[]): Promise<CacheListing> {
  const { stdout } = await expectCli(["cache", "ls", "--format", "json", ...flags], { root });
  return JSON.parse(stdout) as CacheListing;
}

async function rebuilt(root: string, folder: string): Promise<Record<string, string>> {
  const { stderr } = await expectCli(["--progress", "rawjson", "-t", "cached:1", folder], { root });
  return outcomesOf(stderr);
}

const big = "RUN head -c 3000000 /dev/zero >/big";

test("cache ls tells what is kept of which step, and what images share with it", async () => {
  const { root } = await built();
  const { items, totals } = await list(root);
  expect(items.map(({ description }) => description).sort()).toEqual([
    "COPY src /app/src/",
    "RUN echo last >/last",
    big,
    "WORKDIR /app",
  ]);
  for (const { keys, durable, shared, size, unique } of items) {
    expect(keys.map(({ kind }) => kind).sort()).toEqual(["content", "definition"]);
    expect(durable).toBe(true);
    expect(shared + unique).toBe(size);
  }
  const found = items.find(({ description }) => description === big);
  expect(found?.shared).toBeGreaterThanOrEqual(3_000_000);
  expect(totals.total).toBe(totals.shared + totals.private);
  expect(totals.private).toBeLessThan(100_000);
  await expectCli(["rmi", "cached:1"], { root });
  await expectCli(["system", "df"], { root });
  const { stdout } = await expectCli(["cache", "ls"], { root });
  const [header, ...lines] = stdout.trimEnd().split("\n");
  expect(header).toMatch(/^ID +STEP +UNIQUE +SHARED +LAST USED +DURABLE +RESULT$/);
  expect(lines.slice(-4).map((line) => line.split(":")[0])).toEqual([
    ...["Shared", "Private", "Reclaimable", "Total"],
  ]);
  expect(lines.find((line) => line.includes(big))).toMatch(/^[0-9a-f]{12} .* yes +[0-9a-f]{12}$/);
});

test("cache ls filters, and prints IDs alone", async () => {
  const { root } = await built();
  const [wanted] = (await list(root, "--filter", "description~=^COPY")).items;
  expect(wanted?.description).toBe("COPY src /app/src/");
  const { stdout } = await expectCli(["cache", "ls", "-q", "--filter", `id=${wanted?.id ?? ""}`], {
    root,
  });
  expect(stdout).toBe(`${wanted?.id ?? ""}\n`);
  expect((await list(root, "--filter", "until=1h")).items).toEqual([]);
  const refused = await workspace.cli(["cache", "ls", "--filter", "size=3"], { root });
  expect(errorCode(refused)).toBe("USAGE");
});

test("cache inspect tells what a key is made of", async () => {
  const { root } = await built();
  const [copy] = (await list(root, "--filter", "description~=^COPY")).items;
  const definition = copy?.keys.find(({ kind }) => kind === "definition")?.key ?? "";
  const args = ["cache", "inspect", definition.slice("sha256:".length, 30)];
  const { stdout } = await expectCli([...args, "--format", "json"], { root });
  const { madeOf, layers, result } = JSON.parse(stdout) as InspectedItem;
  expect(madeOf[0]?.key).toBe(definition);
  expect(madeOf[0]?.fields.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["instruction", "parent", "files.0"]),
  );
  expect(madeOf[0]?.files.map(({ path, mode }) => [path, mode & 0o777])).toEqual(
    expect.arrayContaining([
      ["src/a.txt", 0o644],
      ["src/b.txt", 0o644],
    ]),
  );
  expect(layers.at(-1)?.chainId).toBe(result);
  expect(layers.every(({ isShared }) => isShared)).toBe(true);
  expect(layers[0]?.size).toBeGreaterThan(100_000);
  const text = (await expectCli(args, { root })).stdout;
  expect(text).toContain("Step:       COPY src /app/src/\n");
  expect(text).toMatch(/ {4} 644 {2}sha256:[0-9a-f]{64} {2}src\/a\.txt\n/);
  const unknown = await workspace.cli(["cache", "inspect", "nothing"], { root });
  expect(errorCode(unknown)).toBe("CACHE_KEY_NOT_FOUND");
  const ambiguous = await workspace.cli(["cache", "inspect", "sha256:"], { root });
  expect(errorCode(ambiguous)).toBe("CACHE_KEY_AMBIGUOUS");
});

test("cache inspect tells no values of ARG and ENV, as explain does", async () => {
  const root = await workspace.freshRoot();
  const folder = await workspace.context({
    Dockerfile: "FROM BUSYBOX\nARG TOKEN\nRUN echo said >/said\n",
  });
  await expectCli(["-t", "args", "--build-arg", "TOKEN=hidden-word", folder], { root });
  const [step] = (await list(root, "--filter", "description~=^RUN")).items;
  for (const format of ["text", "json"]) {
    const args = ["cache", "inspect", step?.id ?? "", "--format", format];
    const { stdout } = await expectCli(args, { root });
    expect(stdout).toContain("env.TOKEN");
    expect(stdout).not.toContain("hidden-word");
  }
});

test("builder prune takes what a filter says", async () => {
  const { root, folder } = await built();
  await expectCli(["rmi", "cached:1"], { root });
  const filter = ["--filter", "description~=echo last"];
  const dry = await expectCli(["builder", "prune", "--dry-run", ...filter], { root });
  expect(dry.stdout).toContain("RUN echo last >/last");
  expect((await list(root)).items).toHaveLength(4);
  await expectCli(["builder", "prune", ...filter], { root });
  expect((await list(root)).items).toHaveLength(3);
  expect(await rebuilt(root, folder)).toMatchObject({
    [big]: "cached",
    "RUN echo last >/last": "done",
  });
});

test("builder prune --keep-storage keeps what was used last", async () => {
  const { root, folder } = await built();
  await expectCli(["rmi", "cached:1"], { root });
  const old = await context({
    Dockerfile: "FROM BUSYBOX\nRUN head -c 5000000 /dev/zero >/older\n",
  });
  await expectCli(["-t", "old:1", old], { root });
  await expectCli(["rmi", "old:1"], { root });
  const [other] = (await list(root, "--filter", "description~=older")).items;
  for (const { key } of other?.keys ?? [])
    await utimes(join(root, "cache", `${key.slice("sha256:".length)}.json`), 1e9, 1e9);
  const older = ["builder", "prune", "--older-than", "7d", "--dry-run", "--verbose"];
  expect((await expectCli(older, { root })).stdout).toMatch(/older[\s\S]*Total:\t5MB\n/);
  const { stdout } = await expectCli(["builder", "prune", "--keep-storage", "4MB"], { root });
  expect(stdout).toBe("Total:\t5MB\n");
  expect((await list(root)).items.map(({ description }) => description)).not.toContain(
    other?.description,
  );
  expect(new Set(Object.values(await rebuilt(root, folder)))).toEqual(new Set(["cached"]));
  const all = await expectCli(["builder", "prune", "--all", "--max-used-space", "0"], { root });
  expect(all.stdout).toMatch(/^Total:\t/);
  expect((await list(root)).items).toEqual([]);
});

test("a dry run tells what a prune then frees, to the byte", async () => {
  const { root } = await built();
  const mounted = await context({
    Dockerfile: "FROM BUSYBOX\nRUN --mount=type=cache,target=/c head -c 5000 /dev/zero >/c/f\n",
  });
  await expectCli([mounted], { root });
  await expectCli(["rmi", "cached:1", workspace.busybox], { root });
  // A killed build leaves layers that nothing refers to, and keys without a record.
  for (const { keys } of (await list(root, "--filter", "description~=>/(big|last)")).items)
    for (const { key } of keys)
      await rm(join(root, "cache", `${key.slice("sha256:".length)}.json`));
  const prunes: readonly Omit<PruneCacheOptions, "root" | "dryRun">[] = [
    { all: false, filters: ["description~=COPY"] },
    { all: false, reservedSpace: "1MB" },
    { all: false },
    { all: true },
  ];
  const freed: number[] = [];
  for (const options of prunes) {
    const told = await pruneBuilder({ root, ...options, dryRun: true });
    const done = await pruneBuilder({ root, ...options });
    expect(done.deferred).toBe(false);
    expect([told.reclaimed, told.removed], JSON.stringify(options)).toEqual([
      done.reclaimed,
      done.removed,
    ]);
    freed.push(done.reclaimed);
  }
  expect(freed[0]).toBeGreaterThan(3_000_000);
  expect(freed[2]).toBeGreaterThan(5_000);
  expect(freed[3]).toBeGreaterThan(0);
});

test("cache mounts are listed and pruned one by one", async () => {
  const root = await workspace.freshRoot();
  const mount = (id: string): string =>
    `RUN --mount=type=cache,id=${id},target=/c head -c 100000 /dev/zero >/c/${id}\n`;
  const folder = await context({ Dockerfile: `FROM BUSYBOX\n${mount("npm")}${mount("apt")}` });
  await expectCli(["-t", "mounts:1", folder], { root });
  const { items } = await list(root, "--filter", "type=exec.cachemount");
  expect(items.map(({ description, unique }) => [description, unique]).sort()).toEqual([
    ["cache mount apt", 100_000],
    ["cache mount npm", 100_000],
  ]);
  const filter = ["--filter", "description~=npm", "--filter", "mutable"];
  const { stdout } = await expectCli(["builder", "prune", ...filter], { root });
  expect(stdout).toBe("Total:\t100kB\n");
  const left = (await list(root)).items.map(({ description }) => description);
  expect(left.filter((text) => text.startsWith("cache mount"))).toEqual(["cache mount apt"]);
  expect(left).toHaveLength(3);
});

test("limits that cannot be read are refused before anything is removed", async () => {
  const { root } = await built();
  for (const flags of [
    ["--keep-storage", "much"],
    ["--reserved-space", "much"],
    ["--older-than", "long"],
    ["--filter", "x"],
  ]) {
    const refused = await workspace.cli(["builder", "prune", "--all", ...flags], { root });
    expect(errorCode(refused)).toBe("USAGE");
    // A size by the name of the flag that was typed.
    if (flags[1] === "much") expect(refused.stderr).toContain(flags[0]);
    expect(refused.code).toBe(2);
  }
  expect((await list(root)).items).toHaveLength(4);
});

test("a record whose key is lost is listed all the same", async () => {
  const { root } = await built();
  const cache = join(root, "cache");
  for (const name of await readdir(cache)) {
    if (name.endsWith(".key.json")) await writeFile(join(cache, name), "damaged");
  }
  const { items } = await list(root);
  expect(new Set(items.map(({ description }) => description))).toEqual(
    new Set(["unknown: its key is lost"]),
  );
});
