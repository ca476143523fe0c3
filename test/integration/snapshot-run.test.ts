import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { RootfsMount } from "../../src/core/index.ts";
import { rootPathToString, toRootPath } from "../../src/layer/index.ts";
import {
  openSnapshotter,
  openTreeWriter,
  prepareMountPoints,
  type Snapshotter,
} from "../../src/snapshot/index.ts";
import { collect } from "../support/collect.ts";
import {
  directoryEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "../support/layer-entries.ts";
import { layerOf } from "../support/layer-source.ts";
import { testedKinds, usualKind, whyNoOverlay } from "../support/snapshot-kinds.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { dumpMount, dumpTree, mountCommand } from "../support/tree-dump.ts";

async function open(kind: Snapshotter["kind"]): Promise<Snapshotter> {
  const folder = await temporaryFolder();
  const folders = { directory: join(folder, "snapshots"), tmpDir: join(folder, "tmp") };
  await Promise.all(Object.values(folders).map(async (path) => mkdir(path)));
  return openSnapshotter({ ...folders, kind });
}

/** Runs a script in the mounted root, as a step would. */
function runIn(mount: RootfsMount, script: string): void {
  if (mount.type === "directory") {
    execFileSync("sh", ["-ec", script], { cwd: mount.path });
    return;
  }
  const command = `target=$(mktemp -d); ${mountCommand(mount)}; cd "$target"; ${script}`;
  execFileSync("unshare", ["-m", "sh", "-ec", command]);
}

const base = [
  directoryEntry("etc"),
  fileEntry("etc/conf", "old", { mtime: 1_000_000_000n }),
  fileEntry("etc/gone"),
  directoryEntry("var"),
  directoryEntry("var/cache"),
  fileEntry("var/cache/one", "1"),
  fileEntry("var/cache/two", "2"),
  hardlinkEntry("var/cache/three", "var/cache/two"),
  directoryEntry("srv"),
  fileEntry("srv/file", "srv"),
  symlinkEntry("lib", "usr/lib"),
];

const scripts: Record<string, string> = {
  "changes, additions and removals":
    "echo new > etc/conf; rm etc/gone; mkdir -p opt/a/b; echo x > opt/a/b/c",
  "a directory removed and made again": "rm -rf var/cache; mkdir var/cache; echo 3 > var/cache/new",
  "a directory moved": "mv var/cache var/moved",
  "a directory that becomes a file, and back":
    "rm -rf srv; echo f > srv; rm etc/conf; mkdir etc/conf",
  "a symlink replaced": "rm lib; mkdir lib; echo x > lib/x",
  "hard links": "ln etc/conf etc/second; echo a > n1; ln n1 n2; ln -s x l1; ln l1 l2",
  "only looks": "chmod 4711 etc/conf; chown 5:6 srv; touch -d @42 var",
  "special files": "mkfifo pipe; mknod null c 1 3; mknod disk b 8 16",
  "odd names": "printf x > \"$(printf 'bad\\377name')\"; : > 'new\nline'; mkdir 'sp ace'",
  "new files that are gone again": "echo x > tmp1; rm tmp1; mkdir t; echo y > t/u; rm -rf t",
  "the root itself": "chmod 711 .",
};

test.each(
  testedKinds.flatMap((kind) => [
    {
      kind,
      by: "whiteouts",
      removed: ["proc", "dev", "sys"].map((name) => fileEntry(`.wh.${name}`)),
    },
    { kind, by: "an opaque root", removed: [fileEntry(".wh..wh..opq")] },
  ]),
)("the usual mount points are there though a layer removed them by $by: $kind", async (row) => {
  const snapshots = await open(row.kind);
  const lower = ["proc", "dev", "sys"].map((name) => directoryEntry(name));
  const first = (await snapshots.apply(undefined, await layerOf(lower))).chainId;
  const base = (await snapshots.apply(first, await layerOf(row.removed))).chainId;
  const active = await snapshots.prepare(base);
  const skeletons = await temporaryFolder();
  const request = { active, skeletons, mounts: [], isFile: () => false };
  const { rootfs, cleanUp } = await prepareMountPoints(request);
  const names = Object.keys(await dumpMount(rootfs)).filter((name) => name !== "");
  expect(names).toEqual(["dev", "proc", "sys"]);
  await cleanUp();
  const snapshot = await snapshots.commit(active);
  expect(await collect(snapshots.diff(snapshot.chainId))).toEqual([]);
});

describe.each(testedKinds)("what a process does in a mount of kind %s", (kind) => {
  test.each(Object.entries(scripts))("%s", async (_name, script) => {
    const snapshots = await open(kind);
    const parent = (await snapshots.apply(undefined, await layerOf(base))).chainId;
    const active = await snapshots.prepare(parent);
    const mount = await active.mount();
    runIn(mount, script);
    const expected = await dumpMount(mount);
    expect(await dumpTree(active.tree)).toEqual(expected);
    const snapshot = await snapshots.commit(active);
    expect(await dumpTree(await snapshots.tree(snapshot.chainId))).toEqual(expected);
    const tar = await layerOf(await collect(snapshots.diff(snapshot.chainId)));
    await snapshots.remove(snapshot.chainId);
    const again = await snapshots.apply(parent, tar);
    expect(again.chainId).toBe(snapshot.chainId);
    expect(await dumpTree(await snapshots.tree(again.chainId))).toEqual(expected);
  });
});

test("overlayfs' own opaque marks on new directories are not told", async (ctx) => {
  if (whyNoOverlay !== undefined) return ctx.skip(whyNoOverlay);
  const snapshots = await open("overlayfs");
  const parent = (await snapshots.apply(undefined, await layerOf(base))).chainId;
  const active = await snapshots.prepare(parent);
  runIn(
    await active.mount(),
    "mkdir etc/new; echo x > etc/new/f; touch -d @0 etc etc/new etc/new/f",
  );
  const { chainId } = await snapshots.commit(active);
  const paths = (await collect(snapshots.diff(chainId))).map(({ path }) => rootPathToString(path));
  expect(paths).toEqual(["etc", "etc/new", "etc/new/f"]);
});

test("a writer goes on where a process was, and directories keep their times", async () => {
  const snapshots = await open(usualKind);
  const parent = (await snapshots.apply(undefined, await layerOf(base))).chainId;
  const active = await snapshots.prepare(parent);
  runIn(await active.mount(), "rm -rf var/cache; mkdir var/cache; touch -d @7 var/cache");
  await active.unmount();
  const writer = openTreeWriter(active);
  const looks = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };
  await writer.file(toRootPath("var/cache/sub/file"), looks, Buffer.from("x"));
  await writer.file(toRootPath("etc/gone/now"), looks, Buffer.from("x")).catch((error: unknown) => {
    expect(error).toMatchObject({ code: "SNAPSHOT_NOT_A_DIRECTORY" });
  });
  await writer.finish();
  const dump = await dumpTree(active.tree);
  expect(dump).toEqual(await dumpMount(await active.mount()));
  expect(dump["var/cache"]).toBe("directory 755 0:0 7000000000 ");
  expect(Object.keys(dump)).not.toContain("var/cache/one");
});
