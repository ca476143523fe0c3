import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { startGate } from "../support/gate.ts";
import { outcomesOf } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli } = workspace;

interface UsageRow {
  readonly type: string;
  readonly total: number;
  readonly size: number;
  readonly reclaimable: number;
}

async function usage(root: string): Promise<Record<string, UsageRow>> {
  const { stdout } = await expectCli(["system", "df", "--format", "json"], { root });
  return Object.fromEntries((JSON.parse(stdout) as UsageRow[]).map((row) => [row.type, row]));
}

test("system df counts images and build cache", async () => {
  const root = await workspace.freshRoot();
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nRUN head -c 3000000 /dev/zero >/big\n",
  });
  await expectCli(["-t", "df:1", folder], { root });
  const { stdout } = await expectCli(["system", "df"], { root });
  const [header, ...rows] = stdout.trimEnd().split("\n");
  expect(header).toMatch(/^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$/);
  expect(rows.map((row) => row.split(/ {2,}/)[0])).toEqual(
    expect.arrayContaining(["Images", "Containers", "Build Cache"]),
  );
  const rowsByType = await usage(root);
  expect(rowsByType["Images"]?.size).toBeGreaterThan(3_000_000);
  expect(rowsByType["Build Cache"]?.total).toBeGreaterThan(0);
});

test("builder prune -a drops the cache and keeps the images", async () => {
  const root = await workspace.freshRoot();
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo kept >/kept\n" });
  await expectCli(["-t", "kept:1", folder], { root });
  await expectCli(["builder", "prune", "-a"], { root });
  expect((await usage(root))["Build Cache"]?.total).toBe(0);
  const { stdout } = await expectCli(["run", "--rm", "kept:1", "cat", "/kept"], { root });
  expect(stdout).toBe("kept\n");
  const again = await expectCli(["--progress", "rawjson", "-t", "kept:1", folder], { root });
  expect(outcomesOf(again.stderr)).toEqual({ "RUN echo kept >/kept": "done" });
});

test("system prune -a empties the store and gives the space back", async () => {
  const root = await workspace.freshRoot();
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nRUN head -c 3000000 /dev/zero >/big\n",
  });
  await expectCli(["-t", "gone:1", folder], { root });
  await expectCli(["run", "gone:1", "true"], { root });
  const before = await treeSize(root);
  const { stdout } = await expectCli(["system", "prune", "-a"], { root });
  expect(stdout).toMatch(/Total reclaimed space: .*MB/);
  expect((await expectCli(["images", "-q"], { root })).stdout).toBe("");
  expect(await treeSize(root)).toBeLessThan(before - 4_000_000);
  // `empty` is the lowest layer of every mount, not a snapshot.
  const snapshots = await readdir(join(root, "snapshots"));
  expect(snapshots.filter((name) => name !== "empty")).toEqual([]);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  // Compiled code is no state of images and has its own sweeping; what the probe found is kept in `empty`, and what the last
  // builds were in `builds`, so that the next one can say that all was pruned.
  const state = entries.filter(({ parentPath }) => !/\/(?:code|empty|builds)\b/.test(parentPath));
  const files = state.filter((entry) => entry.isFile()).map(({ name }) => name);
  expect(files).toEqual(["version.json"]);
  await expectCli(["-t", "back:1", folder], { root });
});

test("system prune without -a keeps named images and drops nameless ones", async () => {
  const root = await workspace.freshRoot();
  const build = async (word: string): Promise<string> => {
    const folder = await context({ Dockerfile: `FROM BUSYBOX\nRUN echo ${word} >/w\n` });
    return (await expectCli(["-q", "-t", "moving:1", folder], { root })).stdout.trim();
  };
  const dangling = await build("first");
  const named = await build("second");
  await expectCli(["system", "prune"], { root });
  const { stdout } = await expectCli(["images", "-a", "-q", "--no-trunc"], { root });
  expect(stdout.split("\n")).toContain(named);
  expect(stdout.split("\n")).not.toContain(dangling);
  expect((await expectCli(["run", "--rm", "moving:1", "cat", "/w"], { root })).stdout).toBe(
    "second\n",
  );
});

test("pruning beside a build takes nothing that the build needs", async () => {
  const root = await workspace.freshRoot();
  // An image that is finished would be pruned as well: the build ends behind the last prune.
  const gate = await startGate();
  const folder = await context({
    Dockerfile: `FROM BUSYBOX
RUN echo 1 >/one; sleep 0.5
RUN cat /one >/two; sleep 0.5
RUN cat /two >/three; sleep 0.5
RUN cat /three >/four; ${gate.wait}
`,
  });
  const building = startCli(["--no-cache", "-t", "beside:1", folder], { root });
  for (let round = 0; round < 4; round++) {
    await expectCli(["system", "prune", "-a"], { root });
    await expectCli(["builder", "prune", "-a"], { root });
  }
  gate.open();
  const { code, stderr } = await building.done;
  expect(code, stderr).toBe(0);
  const { stdout } = await expectCli(["run", "--rm", "beside:1", "cat", "/four"], { root });
  expect(stdout).toBe("1\n");
});

async function treeSize(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    names.map(async (name) => {
      try {
        return (await lstat(join(folder, name))).size;
      } catch {
        return 0; // Swept meanwhile.
      }
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
