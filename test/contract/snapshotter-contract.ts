import { closeSync, openSync } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type ChainId,
  chainIdOf,
  errnoOf,
  loadSyscalls,
  removeTree,
} from "../../src/core/index.ts";
import { type LayerEntryWithContent, rootPathToString, toRootPath } from "../../src/layer/index.ts";
import { openTreeWriter, type Snapshot, type Snapshotter } from "../../src/snapshot/index.ts";
import {
  deviceEntry,
  directoryEntry,
  fifoEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "../support/layer-entries.ts";
import { collect } from "../support/collect.ts";
import { layerOf, tarDigestOf } from "../support/layer-source.ts";
import { describeKeptTars } from "./kept-tar-contract.ts";
import { dumpMount, dumpTree, type TreeDump } from "../support/tree-dump.ts";

export interface SnapshotterFolders {
  readonly directory: string;
  readonly tmpDir: string;
}

const attributes = { mode: 0o640, uid: 7, gid: 8, mtime: 1_600_000_000_123_456_789n };
const path = toRootPath;

/**
 * What every snapshotter promises. Where this process `mayMount`, what the kernel shows of each state is compared as well;
 * else it takes no privilege.
 */
export function describeSnapshotter(
  name: string,
  open: (folders: SnapshotterFolders & { readonly bootId?: string }) => Promise<Snapshotter>,
  { mayMount = true }: { readonly mayMount?: boolean } = {},
): void {
  describe(`snapshotter ${name}`, () => {
    let folder: string;
    let folders: SnapshotterFolders;
    let snapshots: Snapshotter;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "tsbuild-snapshots-"));
      folders = { directory: join(folder, "snapshots"), tmpDir: join(folder, "tmp") };
      await mkdir(folders.directory);
      await mkdir(folders.tmpDir);
      snapshots = await open(folders);
    });

    afterEach(async () => {
      await removeTree(folder);
    });

    /** Applies layers on one another; the chain of the last. */
    async function stack(...layers: readonly LayerEntryWithContent[][]): Promise<ChainId> {
      let top: Snapshot | undefined;
      for (const layer of layers) top = await snapshots.apply(top?.chainId, await layerOf(layer));
      if (top === undefined) throw new Error("a stack has a layer");
      return top.chainId;
    }

    /** The state, asserted to be what the kernel shows of it. */
    async function dump(chainId: ChainId | undefined): Promise<TreeDump> {
      const ours = await dumpTree(await snapshots.tree(chainId));
      if (mayMount) expect(ours).toEqual(await dumpMount(await snapshots.view(chainId)));
      return ours;
    }

    async function paths(chainId: ChainId): Promise<string[]> {
      return Object.keys(await dump(chainId)).filter((found) => found !== "");
    }

    async function errorOf(...layers: readonly LayerEntryWithContent[][]): Promise<unknown> {
      const error = await stack(...layers).catch((reason: unknown) => reason);
      expect(await readdir(folders.tmpDir)).toEqual([]);
      return error;
    }

    describeKeptTars({ folders: () => folders, snapshots: () => snapshots, open });

    describe("life of a snapshot", () => {
      test("nothing is an empty root, 0755 and owned by root", async () => {
        expect(await dumpTree(await snapshots.tree(undefined))).toEqual({
          "": "directory 755 0:0 0 ",
        });
      });

      test.each([
        ["files", false],
        ["a tar", true],
      ])("a large file ends between two parts when it is canceled: %s", async (_form, asTar) => {
        const source = join(folder, "large");
        const size = 1024 ** 3;
        await writeFile(source, "");
        await truncate(source, size);
        const fd = openSync(source, "r");
        const active = await snapshots.prepare(undefined, { asTar });
        const controller = new AbortController();
        const writer = openTreeWriter(active, { signal: controller.signal });
        await writer.directory(path("d"), attributes);
        setImmediate(() => {
          controller.abort(new Error("enough"));
        });
        await expect(writer.file(path("d/large"), attributes, { fd, size })).rejects.toThrow(
          "enough",
        );
        closeSync(fd);
        await snapshots.abandon(active);
        expect(await readdir(folders.tmpDir)).toEqual([]);
      });

      test("what is written, committed and read again is the same", async () => {
        const active = await snapshots.prepare(undefined);
        const writer = openTreeWriter(active);
        await writer.directory(path("d"), { ...attributes, mode: 0o2750 });
        await writer.file(path("d/small"), { ...attributes, mode: 0o4711 }, Buffer.from("hello"));
        await writer.file(path("d/large"), attributes, Readable.from([Buffer.alloc(3e6, "x")]));
        await writer.symlink(path("d/link"), attributes, Buffer.from("../..//odd/"));
        await writer.hardlink(path("d/second"), path("d/small"));
        await writer.fifo(path("d/fifo"), attributes);
        const device = { type: "block-device", major: 259, minor: 65_793 } as const;
        await writer.device(path("d/device"), attributes, device);
        await writer.finish();
        const before = await dumpTree(active.tree);
        expect(before).toMatchObject({
          d: "directory 2750 7:8 1600000000123456789 ",
          "d/device": "block-device 640 7:8 1600000000123456789 259:65793 ",
          "d/link": "symlink 777 7:8 1600000000123456789 ../..//odd/",
          "d/small": expect.stringMatching(/^hardlink|^file 4711 7:8/),
        });
        const snapshot = await snapshots.commit(active);
        expect(await readdir(folders.tmpDir)).toEqual([]);
        expect(await dump(snapshot.chainId)).toEqual(before);
      });

      test("its diff is the tar that its diffId names", async () => {
        const active = await snapshots.prepare(undefined);
        await writeFile(join(active.directory, "f"), "content");
        const snapshot = await snapshots.commit(active, { created: new Date(0) });
        expect(snapshot).toMatchObject({
          chainId: snapshot.diffId,
          parent: undefined,
          contentSize: 7,
          created: "1970-01-01T00:00:00.000Z",
          reproducible: true,
        });
        expect(await tarDigestOf(snapshots.diff(snapshot.chainId))).toEqual({
          digest: snapshot.diffId,
          size: snapshot.tarSize,
        });
      });

      test("an applied layer has the diffId of the tar as it came", async () => {
        const source = await layerOf([fileEntry("z"), fileEntry("a")]);
        const snapshot = await snapshots.apply(undefined, source);
        const { diffId, tarSize } = await source.finish();
        expect(snapshot).toMatchObject({ diffId, tarSize, reproducible: false });
      });

      test("a change of nothing is the empty layer", async () => {
        const base = await stack([directoryEntry("d"), fileEntry("d/f", "x")]);
        const snapshot = await snapshots.commit(await snapshots.prepare(base));
        expect(snapshot.diffId).toBe(
          "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        );
        expect(await dump(snapshot.chainId)).toEqual(await dump(base));
      });

      test("who commits the same chain second gets the first", async () => {
        const first = await stack([fileEntry("f", "x")]);
        const other = await open(folders);
        const again = await other.apply(undefined, await layerOf([fileEntry("f", "x")]));
        expect(again.created).toBe((await snapshots.stat(first))?.created);
        expect(await readdir(folders.tmpDir)).toEqual([]);
      });

      test("another process sees what is committed, and nothing that is abandoned", async () => {
        const base = await stack([fileEntry("a")], [fileEntry("b")]);
        const active = await snapshots.prepare(base);
        await writeFile(join(active.directory, "c"), "");
        await snapshots.abandon(active);
        const other = await open(folders);
        const chain = await other.chain(base);
        expect(chain.map(({ chainId }) => chainId)).toEqual([chain[0]?.chainId, base]);
        expect(chainIdOf(chain.map(({ diffId }) => diffId))).toBe(base);
        expect(await dumpTree(await other.tree(base))).toEqual(await dump(base));
        const listed = [];
        for await (const snapshot of other.list()) listed.push(snapshot.chainId);
        expect(listed.sort()).toEqual(chain.map(({ chainId }) => chainId).sort());
      });

      test("without its parent a snapshot is not there", async () => {
        const base = await stack([fileEntry("a")], [fileEntry("b")]);
        const parent = (await snapshots.stat(base))?.parent;
        expect(parent).toBeDefined();
        if (parent !== undefined) await snapshots.remove(parent);
        const other = await open(folders);
        expect(await other.stat(base)).toBeUndefined();
        await expect(other.prepare(base)).rejects.toMatchObject({ code: "SNAPSHOT_NOT_FOUND" });
        await other.remove(base);
        await other.remove(base);
        expect(await other.stat(base)).toBeUndefined();
      });

      test("metadata cut short by a power failure is no snapshot, and is replaced", async () => {
        const base = await stack([fileEntry("a", "x")]);
        const [found] = (await readdir(folders.directory)).filter((file) => file !== "empty");
        await writeFile(join(folders.directory, String(found), "unsynced.json"), '{"version":1,');
        const other = await open(folders);
        expect(await other.stat(base)).toBeUndefined();
        await other.apply(undefined, await layerOf([fileEntry("a", "x")]));
        expect(Object.keys(await dumpTree(await other.tree(base)))).toEqual(["", "a"]);
      });

      test("what no sync has made durable is no snapshot after a power cut", async () => {
        const kept = await stack([fileEntry("a", "x")]);
        const other = await open(folders);
        let syncs = 0;
        const sync = async (): Promise<void> => void syncs++;
        await other.makeDurable(sync);
        expect(syncs, "it has seen nothing").toBe(0);
        // Who only uses what another process made can make it durable too.
        expect(await other.stat(kept)).toBeDefined();
        await other.makeDurable(sync);
        await other.makeDurable(sync);
        expect(syncs, "nothing is new the second time").toBe(1);
        const lost = await snapshots.apply(kept, await layerOf([fileEntry("b", "x")]));

        const next = await open({ ...folders, bootId: "after the power cut" });
        expect(await next.stat(kept)).toMatchObject({ chainId: kept });
        expect(await next.stat(lost.chainId)).toBeUndefined();
        expect((await collect(next.list())).map(({ chainId }) => chainId)).toEqual([kept]);
        const again = await next.apply(kept, await layerOf([fileEntry("b", "x")]));
        expect(again.chainId).toBe(lost.chainId);
        expect(Object.keys(await dumpTree(await next.tree(again.chainId)))).toEqual(["", "a", "b"]);
      });

      test("after a failed sync nothing is there that an earlier one has not made durable", async () => {
        const kept = await stack([fileEntry("a", "x")]);
        await snapshots.makeDurable(async () => undefined);
        const lost = await snapshots.apply(kept, await layerOf([fileEntry("b", "x")]));
        await expect(snapshots.makeDurable(() => Promise.reject(new Error("EIO")))).rejects.toThrow(
          "EIO",
        );
        for (const each of [snapshots, await open(folders)]) {
          expect(await each.stat(kept)).toBeDefined();
          expect(await each.stat(lost.chainId), "its files may be lost").toBeUndefined();
        }
        const again = await snapshots.apply(kept, await layerOf([fileEntry("b", "y")]));
        expect(Object.keys(await dumpTree(await snapshots.tree(again.chainId)))).toEqual([
          "",
          "a",
          "b",
        ]);
      });

      test("sweeping removes what a power cut left, and nothing else", async () => {
        const kept = await stack([fileEntry("a", "x")]);
        await snapshots.makeDurable(async () => undefined);
        await stack([fileEntry("b", "x")]);
        await mkdir(join(folders.directory, "not ours"));
        const next = await open({ ...folders, bootId: "after the power cut" });
        expect(await next.sweep()).toBe(1);
        expect(await next.sweep()).toBe(0);
        expect(await next.stat(kept)).toBeDefined();
        expect((await readdir(folders.directory)).length, "and not ours, and empty").toBe(3);
        expect(await readdir(folders.tmpDir)).toEqual([]);
      });

      test("tells whether the files are still those that were committed", async () => {
        const layer = [fileEntry("d/a", "x"), fileEntry(".wh.gone")];
        const pulled = await stack([fileEntry("gone")], layer);
        const active = await snapshots.prepare(pulled);
        await openTreeWriter(active).file(path("own"), attributes, Buffer.from("own"));
        const made = (await snapshots.commit(active)).chainId;
        expect(await snapshots.isIntact(made)).toBe(true);
        expect(await snapshots.isIntact(pulled)).toBeUndefined();
        expect(await snapshots.isIntact(pulled, await layerOf(layer))).toBe(true);

        for (const folder of await readdir(folders.directory)) {
          const fs = join(folders.directory, folder, "fs");
          await truncate(join(fs, "own"), 1).catch(() => undefined);
          await chmod(join(fs, "d/a"), 0o4755).catch(() => undefined);
        }
        expect(await snapshots.isIntact(made)).toBe(false);
        expect(await snapshots.isIntact(pulled, await layerOf(layer))).toBe(false);
        expect(await readdir(folders.tmpDir)).toEqual([]);
      });

      test("changes can live in a folder of the caller's", async () => {
        const directory = join(folder, "container");
        await mkdir(directory);
        await writeFile(join(directory, "record.json"), "{}");
        const active = await snapshots.prepare(await stack([fileEntry("a")]), { directory });
        expect(active.directory.startsWith(directory)).toBe(true);
        await snapshots.abandon(active);
        expect(await readdir(directory)).toEqual(["record.json"]);
      });
    });

    describe("the merged view", () => {
      test("upper entries hide lower ones, whiteouts and opaque marks remove", async () => {
        const top = await stack(
          [
            directoryEntry("a"),
            fileEntry("a/one", "1"),
            fileEntry("a/two", "2"),
            directoryEntry("b"),
            fileEntry("b/old"),
            fileEntry("gone"),
          ],
          [fileEntry("a/one", "changed"), fileEntry("a/.wh.two"), fileEntry(".wh.gone")],
          [directoryEntry("b"), fileEntry("b/.wh..wh..opq"), fileEntry("b/new")],
        );
        expect(await paths(top)).toEqual(["a", "a/one", "b", "b/new"]);
      });

      test("a parent that is no directory in an upper layer hides lower ones", async () => {
        const top = await stack(
          [directoryEntry("d"), fileEntry("d/old")],
          [fileEntry("d", "now a file")],
          [directoryEntry("d"), fileEntry("d/new")],
        );
        expect(await paths(top)).toEqual(["d", "d/new"]);
        const tree = await snapshots.tree(top);
        expect(await tree.lstat(path("d/old"))).toBeUndefined();
      });

      test("a snapshot whose files are gone is none", async () => {
        const base = await stack([fileEntry("f", "x")]);
        const top = await snapshots.apply(base, await layerOf([fileEntry("g", "y")]));
        const [, hex = ""] = base.split(":");
        const names = await readdir(folders.directory);
        const name = names.find((each) => each.startsWith(hex.slice(0, 24))) ?? "";
        await removeTree(join(folders.directory, name, "fs"));
        const other = await open(folders);
        expect(await other.stat(base)).toBeUndefined();
        expect(await other.stat(top.chainId)).toBeUndefined();
      });

      test("a symlink on the way is not followed", async () => {
        const top = await stack([
          directoryEntry("real"),
          fileEntry("real/f"),
          symlinkEntry("l", "real"),
        ]);
        const tree = await snapshots.tree(top);
        expect(await tree.lstat(path("l/f"))).toBeUndefined();
        await expect(tree.openFile(path("l/f"))).rejects.toMatchObject({
          code: "SNAPSHOT_ENTRY_NOT_FOUND",
        });
        await expect(tree.readdir(path("l"))).rejects.toMatchObject({
          code: "SNAPSHOT_NOT_A_DIRECTORY",
        });
        await expect(tree.openFile(path("l"))).rejects.toMatchObject({
          code: "SNAPSHOT_NOT_A_FILE",
        });
      });

      test("names that are not UTF-8 stay as they are", async () => {
        const odd = Buffer.from([0x66, 0xff, 0xe4]);
        const top = await stack([fileEntry(odd, "x")], [fileEntry("other")]);
        expect((await (await snapshots.tree(top)).readdir(path(""))).map(String)).toHaveLength(2);
        expect(await paths(top)).toContain("f\\xff\\xe4");
      });

      test("an active state shows its changes at once", async () => {
        const base = await stack([directoryEntry("d"), fileEntry("d/a"), fileEntry("d/b")]);
        const active = await snapshots.prepare(base);
        const writer = openTreeWriter(active);
        await writer.remove(path("d/a"));
        await writer.file(path("d/c"), attributes, Buffer.from("c"));
        expect((await active.tree.readdir(path("d"))).map(String)).toEqual(["b", "c"]);
        await writer.remove(path("d"));
        expect(await active.tree.lstat(path("d/b"))).toBeUndefined();
        await writer.directory(path("d"), attributes);
        expect(await active.tree.readdir(path("d"))).toEqual([]);
        await writer.finish();
        const { chainId } = await snapshots.commit(active);
        expect(await paths(chainId)).toEqual(["d"]);
      });
    });

    describe("applying a layer", () => {
      const looks = { mode: 0o2711, uid: 5, gid: 6, mtime: 1_234_567_890_123_456_789n };

      test("implied parents are copied up with mode, owner, xattrs and times", async () => {
        const xattrs = new Map([["user.kept", Buffer.from([0, 1, 255])]]);
        const base = await stack([directoryEntry("a/b", { ...looks, xattrs })]);
        const before = (await dump(base))["a/b"];
        const top = await snapshots.apply(base, await layerOf([fileEntry("a/b/c/new")]));
        const after = await dump(top.chainId);
        expect(after["a/b"]).toBe(before);
        expect(after["a/b/c"]).toBe("directory 755 0:0 0 ");
      });

      test("a directory that was only implied can be replaced by a symlink in the same layer", async () => {
        const top = await stack([
          fileEntry("a/b/c/f", "old"),
          symlinkEntry("a/b", "other"),
          directoryEntry("a/other/c"),
          fileEntry("a/b/c/g", "new"),
        ]);
        const found = await dumpTree(await snapshots.tree(top));
        expect(found["a/b"]).toContain("symlink");
        expect(found["a/other/c/g"]).toContain("file");
        expect(found["a/other/c/f"]).toBeUndefined();
      });

      test("entries below a lower symlink follow it", async () => {
        const top = await stack(
          [directoryEntry("usr/lib"), fileEntry("usr/lib/libc"), symlinkEntry("lib", "usr/lib")],
          [fileEntry("lib/y", "y"), directoryEntry("lib/sub"), fileEntry("lib/sub/z")],
        );
        const found = await dump(top);
        expect(found["lib"]).toContain("symlink");
        expect(Object.keys(found)).toEqual(
          expect.arrayContaining(["usr/lib/libc", "usr/lib/y", "usr/lib/sub/z"]),
        );
      });

      test("absolute and climbing symlinks stay inside the root", async () => {
        const top = await stack(
          [directoryEntry("etc"), symlinkEntry("abs", "/etc"), symlinkEntry("up", "../../../etc")],
          [fileEntry("abs/one"), fileEntry("up/two")],
        );
        expect(await paths(top)).toEqual(["abs", "etc", "etc/one", "etc/two", "up"]);
      });

      test("a hard link to a lower file copies it up", async () => {
        const file = fileEntry("f", "content", { mode: 0o4755, uid: 9, mtime: 5n });
        const top = await stack([file], [hardlinkEntry("g", "f")]);
        const found = await dump(top);
        expect(found["f"]).toMatch(/^file 4755 9:0 5 /);
        expect(found["g"]).toBe("hardlink f");
      });

      test("a hard link to nothing is an error, and nothing is left", async () => {
        expect(await errorOf([hardlinkEntry("g", "missing")])).toMatchObject({
          code: "SNAPSHOT_ENTRY_NOT_FOUND",
        });
      });

      test("overlay xattrs of strangers are dropped", async () => {
        const xattrs = new Map([
          ["trusted.overlay.redirect", Buffer.from("/etc")],
          ["trusted.overlay.opaque", Buffer.from("y")],
          ["user.overlay.opaque", Buffer.from("y")],
          ["user.kept", Buffer.from("yes")],
        ]);
        const top = await stack(
          [directoryEntry("etc"), fileEntry("etc/shadow"), directoryEntry("d"), fileEntry("d/f")],
          [directoryEntry("d", { xattrs })],
        );
        const found = await dump(top);
        expect(found["d"]).toBe("directory 755 0:0 0  user.kept=796573");
        expect(found).toHaveProperty(["d/f"]);
        const kernel = await loadSyscalls();
        for (const entry of await readdir(folders.directory)) {
          const names = await tryNames(() => [
            ...kernel.llistxattr(join(folders.directory, entry, "fs", "d")),
          ]);
          expect(names.filter((xattr) => xattr.includes("overlay"))).toEqual([]);
        }
      });

      test("a character device 0:0 is a whiteout", async () => {
        const top = await stack(
          [fileEntry("f"), directoryEntry("d"), fileEntry("d/x")],
          [
            deviceEntry("f", { devMajor: 0, devMinor: 0 }),
            deviceEntry("d", { devMajor: 0, devMinor: 0 }),
          ],
        );
        expect(await paths(top)).toEqual([]);
      });

      test("whiteouts concern lower layers only, before or after the entries", async () => {
        const base = [directoryEntry("d"), fileEntry("d/old"), fileEntry("f", "old")];
        for (const layer of [
          [
            fileEntry(".wh.d"),
            directoryEntry("d"),
            fileEntry("d/new"),
            fileEntry(".wh.f"),
            fileEntry("f", "new"),
          ],
          [
            directoryEntry("d"),
            fileEntry("d/new"),
            fileEntry(".wh.d"),
            fileEntry("f", "new"),
            fileEntry(".wh.f"),
          ],
          [fileEntry("d/new"), fileEntry(".wh.d"), fileEntry("f", "new")],
          [fileEntry("d/new"), fileEntry("d/.wh..wh..opq"), fileEntry("f", "new")],
        ]) {
          const found = await dump(await stack(base, layer));
          expect(Object.keys(found)).toEqual(["", "d", "d/new", "f"]);
          expect(found["f"]).toContain((await dump(await stack([fileEntry("f", "new")])))["f"]);
        }
      });

      test("a whiteout takes a directory that only a mark or another whiteout needed in the layer", async () => {
        const base = [directoryEntry("d"), directoryEntry("d/sub"), fileEntry("d/sub/old")];
        for (const mark of ["d/.wh..wh..opq", "d/sub/.wh.old", "d/sub/.wh..wh..opq"]) {
          const top = await stack(base, [fileEntry(mark), fileEntry(".wh.d")]);
          expect(await paths(top)).toEqual([]);
        }
        const linked = await stack(base, [hardlinkEntry("l", "d/sub/old"), fileEntry(".wh.d")]);
        expect(await paths(linked)).toEqual(["l"]);
        const own = await stack(base, [
          fileEntry("d/sub/.wh.old"),
          fileEntry("d/sub/new"),
          fileEntry(".wh.d"),
        ]);
        expect(await paths(own)).toEqual(["d", "d/sub", "d/sub/new"]);
      });

      test("an opaque root hides everything below", async () => {
        const top = await stack(
          [directoryEntry("d"), fileEntry("d/old"), fileEntry("f")],
          [fileEntry("d/new"), fileEntry(".wh..wh..opq"), directoryEntry("e")],
        );
        expect(await paths(top)).toEqual(["d", "d/new", "e"]);
      });

      test("whiteouts of what is not there leave nothing", async () => {
        const top = await stack([directoryEntry("d")], [fileEntry("d/.wh.x"), fileEntry(".wh.y")]);
        expect(await paths(top)).toEqual(["d"]);
      });

      test("a type replaces another, the last entry wins, a directory keeps what it holds", async () => {
        const top = await stack(
          [
            directoryEntry("a"),
            fileEntry("a/x"),
            fileEntry("b"),
            directoryEntry("c"),
            fileEntry("c/x"),
          ],
          [
            fileEntry("a", "file now"),
            directoryEntry("b"),
            fileEntry("b/y"),
            directoryEntry("c", { mode: 0o700 }),
            fileEntry("e", "first"),
            symlinkEntry("e", "second"),
            symlinkEntry("d", "a"),
            fifoEntry("d"),
          ],
        );
        const found = await dump(top);
        expect(Object.keys(found)).toEqual(["", "a", "b", "b/y", "c", "c/x", "d", "e"]);
        expect(found).toMatchObject({
          c: "directory 700 0:0 0 ",
          d: "fifo 644 0:0 0 ",
          e: "symlink 777 0:0 0 second",
        });
      });

      test("a link that the layer itself replaces is not followed any more", async () => {
        const top = await stack(
          [directoryEntry("old"), directoryEntry("new"), symlinkEntry("l", "old")],
          [fileEntry("l/one"), symlinkEntry("l", "new"), fileEntry("l/two")],
        );
        expect(await paths(top)).toEqual(["l", "new", "new/two", "old", "old/one"]);
      });

      test("a directory keeps its time while it is filled", async () => {
        const d = directoryEntry("d", { mtime: 42n });
        const top = await stack([d, fileEntry("d/a"), fileEntry("d/b")], [fileEntry("d/c")]);
        expect((await dump(top))["d"]).toBe("directory 755 0:0 42 ");
      });

      test("the root's own entry is the root", async () => {
        const top = await stack(
          [directoryEntry("", { mode: 0o711, uid: 3, mtime: 9n })],
          [fileEntry("f")],
        );
        expect((await dump(top))[""]).toBe("directory 711 3:0 9 ");
      });

      test("AUFS' own files are left out", async () => {
        const top = await stack([
          directoryEntry(".wh..wh.plnk"),
          fileEntry(".wh..wh.plnk/1.2"),
          fileEntry("f"),
        ]);
        expect(await paths(top)).toEqual(["f"]);
      });

      test.each([
        ["a name that escapes", [fileEntry("../x")], "LAYER_PATH_ESCAPES"],
        [
          "a hard link that escapes",
          [hardlinkEntry("x", "../../etc/passwd")],
          "LAYER_PATH_ESCAPES",
        ],
        ["a loop of symlinks", [symlinkEntry("l", "l"), fileEntry("l/x")], "LAYER_SYMLINK_LOOP"],
        ["a whiteout of nothing", [fileEntry("d/.wh.")], "LAYER_PATH_INVALID"],
        ["a file as a parent", [fileEntry("f"), fileEntry("f/x")], "SNAPSHOT_NOT_A_DIRECTORY"],
      ])("%s is refused, and nothing is left", async (_name, layer, code) => {
        expect(await errorOf([fileEntry("base")], layer)).toMatchObject({ code });
      });

      test("a source that turns out wrong leaves nothing", async () => {
        const source = {
          ...(await layerOf([fileEntry("f")])),
          finish: () => Promise.reject(new Error("digest differs")),
        };
        await expect(snapshots.apply(undefined, source)).rejects.toThrow("digest differs");
        expect(await readdir(folders.tmpDir)).toEqual([]);
      });
    });

    describe("a symlink into the host", () => {
      test("is no way for the writer, whatever it is asked to do below it", async () => {
        const host = join(folder, "host");
        await mkdir(host);
        await writeFile(join(host, "file"), "precious", { mode: 0o600 });
        const active = await snapshots.prepare(await stack([symlinkEntry("low", host)]));
        const writer = openTreeWriter(active);
        await writer.symlink(path("up"), attributes, Buffer.from(host));
        for (const link of ["up", "low"]) {
          const below = path(`${link}/file`);
          const codes = [
            await codeOf(writer.file(below, attributes, Buffer.from("x"))),
            await codeOf(writer.directory(below, attributes)),
            await codeOf(writer.hardlink(path("stolen"), below)),
            await codeOf(writer.setAttributes(below, { mode: 0o777 })),
            await codeOf(writer.remove(below)),
            await codeOf(writer.hideLower(below)),
            await codeOf(writer.hideLowerChildren(path(link))),
          ];
          expect(codes).toEqual([
            "SNAPSHOT_NOT_A_DIRECTORY",
            "SNAPSHOT_NOT_A_DIRECTORY",
            "SNAPSHOT_ENTRY_NOT_FOUND",
            "SNAPSHOT_ENTRY_NOT_FOUND",
            "done",
            "done",
            "SNAPSHOT_NOT_A_DIRECTORY",
          ]);
        }
        await writer.finish();
        expect(await readFile(join(host, "file"), "utf8")).toBe("precious");
        expect((await stat(join(host, "file"))).mode & 0o777).toBe(0o600);
        await snapshots.abandon(active);
        expect(await readdir(host)).toEqual(["file"]);
      });
    });

    describe("the diff of a layer", () => {
      async function names(chainId: ChainId): Promise<string[]> {
        const found = [];
        for await (const entry of snapshots.diff(chainId))
          found.push(`${entry.type} ${rootPathToString(entry.path)}`);
        return found;
      }

      test("has whiteouts first and only of what was there", async () => {
        const base = await stack([directoryEntry("d"), fileEntry("d/a"), fileEntry("d/z")]);
        const active = await snapshots.prepare(base);
        const writer = openTreeWriter(active);
        await writer.remove(path("d/z"));
        await writer.remove(path("d/missing"));
        await writer.file(path("d/b"), attributes, Buffer.from("b"));
        await writer.finish();
        const { chainId } = await snapshots.commit(active);
        expect((await names(chainId)).filter((entry) => entry !== "directory d")).toEqual([
          "file d/.wh.z",
          "file d/b",
        ]);
      });

      test("applied again it gives the same state", async () => {
        const base = await stack([
          directoryEntry("d"),
          fileEntry("d/a", "1"),
          fileEntry("d/b", "2"),
          directoryEntry("e"),
          fileEntry("e/f"),
        ]);
        const active = await snapshots.prepare(base);
        const writer = openTreeWriter(active);
        await writer.remove(path("e"));
        await writer.directory(path("e"), attributes);
        await writer.file(path("e/new"), attributes, Buffer.from("new"));
        await writer.file(path("d/a"), attributes, Buffer.from("changed"));
        await writer.hardlink(path("d/c"), path("d/b"));
        await writer.setAttributes(path("d"), { mode: 0o700 });
        await writer.finish();
        const snapshot = await snapshots.commit(active);
        const expected = await dump(snapshot.chainId);
        const tar = await layerOf(await collect(snapshots.diff(snapshot.chainId)));
        await snapshots.remove(snapshot.chainId);
        const again = await snapshots.apply(base, tar);
        expect(again.chainId).toBe(snapshot.chainId);
        expect(await dump(again.chainId)).toEqual(expected);
      });
    });

    describe("a layer that was made on nothing", () => {
      const layer = [
        directoryEntry("lib", { mode: 0o711 }),
        fileEntry("lib/x", "x", { mode: 0o600 }),
        hardlinkEntry("lib/y", "lib/x"),
        directoryEntry("srv"),
        symlinkEntry("srv/link", "/etc"),
        fileEntry("was-directory", "now a file"),
      ];
      const parent = [
        directoryEntry("etc"),
        fileEntry("lib", "a file"),
        directoryEntry("real"),
        symlinkEntry("srv", "real"),
        directoryEntry("was-directory"),
        fileEntry("was-directory/below", "b"),
      ];

      test("goes on any parent as a layer of an image does [3.60]", async () => {
        const [made, below] = [await stack(layer), await stack(parent)];
        const merged = await snapshots.restack(below, made);
        const applied = await stack(parent, layer);
        expect(await dump(merged.chainId)).toEqual(await dump(applied));
        expect(await paths(merged.chainId)).toContain("srv/link");
        expect(await paths(below)).toContain("was-directory/below");
      });

      test("is written anew where a filesystem cannot share it", async () => {
        const active = await snapshots.prepare(undefined);
        const writer = openTreeWriter(active);
        expect(
          await writer.share(path("version"), {
            absolute: Buffer.from("/proc/version"),
            attributes,
          }),
        ).toBe(false);
        expect(await active.tree.lstat(path("version"))).toBeUndefined();
        await snapshots.abandon(active);
      });

      test("is found again, and its tar is what its diffId says", async () => {
        const active = await snapshots.prepare(undefined);
        const writer = openTreeWriter(active);
        await writer.directory(path("lib"), attributes);
        await writer.file(path("lib/x"), attributes, Buffer.from("x"));
        await writer.hardlink(path("lib/y"), path("lib/x"));
        await writer.finish();
        const made = await snapshots.commit(active, { created: new Date(5) });
        const below = await stack(parent);
        const merged = await snapshots.restack(below, made.chainId);
        expect(merged).toMatchObject({ parent: below, created: made.created, reproducible: true });
        const { digest } = await tarDigestOf(snapshots.diff(merged.chainId));
        expect(merged.diffId).toBe(digest);
        expect(merged.diffId).toBe(made.diffId);
        expect(await snapshots.restack(below, made.chainId)).toEqual(merged);
        expect(await snapshots.restack(undefined, made.chainId)).toEqual(made);
        await snapshots.remove(made.chainId);
        expect(await paths(merged.chainId)).toContain("lib/y");
      });
    });

    describe("mounting", () => {
      test("stubs of a skeleton show in the mount and never in the layer", async ({ skip }) => {
        if (!mayMount) skip("nothing can be mounted here");
        const { openSkeleton } = await import("../../src/snapshot/index.ts");
        const proc = { path: path("proc"), type: "directory" } as const;
        const stubs = [proc, { path: path("etc/hosts"), type: "file" }] as const;
        const skeleton = openSkeleton({ folder, stubs });
        expect(openSkeleton({ folder, stubs })).toBe(skeleton);
        expect(openSkeleton({ folder, stubs: [proc] })).not.toBe(skeleton);
        const base = await stack([directoryEntry("etc", { mode: 0o711 })]);
        const active = await snapshots.prepare(base);
        expect(active.showsSkeleton(path("etc/hosts"))).toBe(true);
        const mounted = await dumpMount(await active.mount({ skeleton: [skeleton] }));
        expect(Object.keys(mounted)).toEqual(["", "etc", "etc/hosts", "proc"]);
        expect(mounted["etc"]).toMatch(/^directory 711/);
        const snapshot = await snapshots.commit(active);
        expect(await dump(snapshot.chainId)).toEqual(await dump(base));
      });
    });
  });
}

/** The code of the failure, or "done". */
async function codeOf(work: Promise<void>): Promise<unknown> {
  try {
    await work;
    return "done";
  } catch (error) {
    return errnoOf(error);
  }
}

async function tryNames(names: () => string[]): Promise<string[]> {
  try {
    return names();
  } catch {
    // Layers without that directory.
    return [];
  }
}
