import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openCopyBuild, withoutTime } from "../support/copy-build.ts";
import { writeEntries } from "../support/setup-context.ts";
import { usualKind } from "../support/snapshot-kinds.ts";

const file = { mode: 0o644, content: "content" };

test("--link does not follow links of the parent, and its directories go over the parent's [3.60]", async () => {
  const { harness, nodesOf } = await openCopyBuild({
    "root/lib": { link: "usr/lib" },
    "root/usr/lib/libc": file,
    "root/srv/kept": file,
    "root/target": file,
    "root/link": { link: "target" },
    a: file,
  });
  const base = "FROM scratch\nCOPY --chown=5:6 --chmod=700 root /\n";
  const merged = await harness.build(
    `${base}COPY --link a /lib/a\nCOPY --link a /srv/deep/a\nCOPY --link a /link\n`,
  );
  const found = await nodesOf(merged);
  expect(withoutTime(found["lib"])).toBe("directory 755 0:0");
  expect(withoutTime(found["lib/a"])).toBe("file 644 0:0 content");
  expect(Object.keys(found)).not.toContain("usr/lib/a");
  expect(withoutTime(found["usr/lib/libc"])).toBe("file 700 5:6 content");
  expect(withoutTime(found["srv"])).toBe("directory 755 0:0");
  expect(withoutTime(found["srv/kept"])).toBe("file 700 5:6 content");
  expect(withoutTime(found["srv/deep/a"])).toBe("file 644 0:0 content");
  expect(withoutTime(found["link"])).toBe("file 644 0:0 content");

  const copied = await nodesOf(await harness.build(`${base}COPY a /lib/a\n`));
  expect(withoutTime(copied["lib"])).toBe("symlink 777 5:6 -> usr/lib");
  expect(withoutTime(copied["usr/lib/a"])).toBe("file 644 0:0 content");
});

test("a --link layer is used again on another parent, without a copy [3.60, 6.11]", async () => {
  const { harness, root, nodesOf } = await openCopyBuild({ "big/file": "big", other: "o" });
  const dockerfile = (command: string): string =>
    `FROM base\nRUN ${command}\nCOPY --link big /opt/\nCOPY other /\n`;
  const first = await harness.build(dockerfile("one"));
  expect(harness.steps("step-started")).toHaveLength(3);
  const second = await harness.build(dockerfile("two"));
  expect(harness.steps("step-started")).toEqual(["[2/4] RUN two", "[4/4] COPY other /"]);
  expect(harness.steps("step-cached")).toContain("[3/4] COPY --link big /opt/");
  const [before, after] = [first, second].map((built) => built.targets[0]?.diffIds ?? []);
  expect(after?.[2]).toBe(before?.[2]);
  expect(after?.[1]).not.toBe(before?.[1]);
  expect(Object.keys(await nodesOf(second))).toEqual(
    expect.arrayContaining(["opt/file", "other", "two"]),
  );

  // The layer itself, and one on each of two parents: one file with three names.
  const { chain } = harness.environment.snapshots;
  const top = second.targets[0]?.chainId;
  if (top === undefined) throw new Error("no layers");
  const stack = await chain.call(harness.environment.snapshots, top);
  const name = stack[2]?.chainId.slice(7, 31) ?? "";
  const folder = usualKind === "copy" ? `${name}-files` : name;
  const shared = join(root, "snapshots", folder, "fs/opt/file");
  expect(existsSync(shared)).toBe(true);
  expect(statSync(shared).nlink).toBe(3);
});

test("a --link step that is cached is shown once, with what came before and after it [3.60]", async () => {
  const { harness } = await openCopyBuild({ a: "a" });
  const dockerfile = "FROM base\nRUN one\nCOPY --link a /x/\nRUN two\n";
  const first = await harness.build(dockerfile);
  expect(harness.timeline().filter((line) => line.includes("COPY"))).toHaveLength(2);
  const second = await harness.build(dockerfile);
  expect(harness.timeline().sort()).toEqual([
    "cached [1/4] FROM docker.io/library/base:latest",
    "cached [2/4] RUN one",
    "cached [3/4] COPY --link a /x/",
    "cached [4/4] RUN two",
  ]);
  expect(second.targets).toEqual(first.targets);
  expect(second.config).toEqual(first.config);
});

test("a change of the copied files runs a --link step again, on the same parent [3.60]", async () => {
  const { harness, context, nodesOf } = await openCopyBuild({ a: "a" });
  const dockerfile = "FROM base\nRUN one\nCOPY --link a /x/\n";
  const first = await harness.build(dockerfile);
  await writeEntries(context, { a: "b" });
  const second = await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual(["[3/3] COPY --link a /x/"]);
  expect(second.targets[0]?.diffIds.slice(0, 2)).toEqual(first.targets[0]?.diffIds.slice(0, 2));
  expect((await nodesOf(second))["x/a"]).toMatch(/ b$/);
});

test("--link with --chmod is a normal copy, which follows the parent's links [3.60]", async () => {
  const { harness, nodesOf } = await openCopyBuild({
    "root/lib": { link: "usr/lib" },
    "root/usr/lib/": "",
    a: file,
  });
  const built = await harness.build("FROM scratch\nCOPY root /\nCOPY --link --chmod=600 a /lib/\n");
  const found = await nodesOf(built);
  expect(withoutTime(found["lib"])).toBe("symlink 777 0:0 -> usr/lib");
  expect(withoutTime(found["usr/lib/a"])).toBe("file 600 0:0 content");
});

test("--link on an empty root, of heredocs, and with nothing to copy [3.60]", async () => {
  const { harness, nodesOf } = await openCopyBuild({ a: "a" });
  const built = await harness.build(
    "FROM scratch\nCOPY --link --chown=7:8 <<one /d/\n1\none\nCOPY --link none* /x/\n",
  );
  expect(built.targets[0]?.diffIds).toHaveLength(2);
  const found = await nodesOf(built);
  expect(Object.keys(found)).toEqual(["d", "d/one"]);
  expect(withoutTime(found["d/one"])).toBe("file 644 7:8 1\n");
});

test("without the cache a --link step is copied again [3.60]", async () => {
  const { harness } = await openCopyBuild({ a: "a" });
  const dockerfile = "FROM base\nCOPY --link a /x/\nWORKDIR /w\n";
  const first = await harness.build(dockerfile);
  const again = await harness.build(dockerfile, { noCache: true });
  expect(harness.steps("step-started")).toEqual(["[2/3] COPY --link a /x/"]);
  expect(again.targets[0]?.diffIds).toEqual(first.targets[0]?.diffIds);
});
