import { type FileHandle, open as openFile, readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { type ChainId, digestHex, digestOf } from "../../src/core/index.ts";
import { layerTarChunks, rootPathToString, toRootPath } from "../../src/layer/index.ts";
import {
  type NodeAttributes,
  openTreeWriter,
  type Snapshot,
  type Snapshotter,
  type TreeWriter,
} from "../../src/snapshot/index.ts";
import { dumpTree } from "../support/tree-dump.ts";

interface Folders {
  readonly directory: string;
  readonly tmpDir: string;
}

const looks: NodeAttributes = { mode: 0o644, uid: 7, gid: 8, mtime: 1_600_000_000_123_456_789n };
const folderLooks: NodeAttributes = { ...looks, mode: 0o755 };
const path = toRootPath;

/** What snapshotters promise of layers that are kept as tars. */
export function describeKeptTars(place: {
  readonly folders: () => Folders;
  readonly snapshots: () => Snapshotter;
  readonly open: (folders: Folders & { readonly bootId?: string }) => Promise<Snapshotter>;
}): void {
  const { folders, open } = place;

  /** Names in the folder of a snapshot, without those of this kind alone. */
  async function kept({ chainId }: Pick<Snapshot, "chainId">): Promise<string[]> {
    const names = await readdir(folderOf(chainId));
    return names.filter((name) => name !== "looks" && !name.endsWith(".json")).sort();
  }

  function folderOf(chainId: ChainId): string {
    const kind = place.snapshots().kind === "copy" ? "-files" : "";
    return join(folders().directory, `${digestHex(chainId).slice(0, 24)}${kind}`);
  }

  async function commit(
    write: (writer: TreeWriter) => Promise<void>,
    options: {
      readonly parent?: ChainId;
      readonly asTar?: boolean;
      readonly to?: Snapshotter;
    } = {},
  ): Promise<Snapshot> {
    const { parent, asTar = true, to = place.snapshots() } = options;
    const active = await to.prepare(parent, { asTar });
    const writer = openTreeWriter(active);
    await write(writer);
    await writer.finish();
    return to.commit(active);
  }

  async function plainTree(writer: TreeWriter): Promise<void> {
    await writer.directory(path("d"), folderLooks);
    await writer.file(path("d/a"), looks, Buffer.from("first"));
    await writer.hardlink(path("d/b"), path("d/a"));
    await writer.directory(path("d/inner"), folderLooks);
    await writer.file(path("d/inner/large"), looks, Buffer.alloc(3e6, "x"));
    expect(writer.smallFile(path("d/inner/small"), looks, Buffer.from("small"))).toBe(true);
    await writer.symlink(path("d/link"), looks, Buffer.from("../odd//"));
  }

  async function tarOf(snapshots: Snapshotter, { chainId }: Snapshot): Promise<string> {
    return digestOf(await buffer(Readable.from(layerTarChunks(snapshots.diff(chainId)))));
  }

  /** The same layer written as files, by another snapshotter. */
  async function asFiles(
    write: (writer: TreeWriter) => Promise<void>,
    beside: string,
  ): Promise<{ readonly snapshot: Snapshot; readonly dump: unknown }> {
    const { directory, tmpDir } = folders();
    const to = await open({ directory: join(directory, beside), tmpDir });
    const snapshot = await commit(write, { asTar: false, to });
    return { snapshot, dump: await dumpTree(await to.tree(snapshot.chainId)) };
  }

  describe("a layer that is kept as a tar", () => {
    test("is one file until somebody needs its files, and the same layer to the byte", async () => {
      const snapshots = place.snapshots();
      const tar = await commit(plainTree);
      const files = await asFiles(plainTree, "other");
      expect(tar).toEqual({ ...files.snapshot, created: tar.created });
      expect(await kept(tar)).toEqual(["layer.tar"]);
      expect(await tarOf(snapshots, tar)).toBe(tar.diffId);
      expect(await snapshots.isIntact(tar.chainId)).toBe(true);
      expect(await kept(tar)).toEqual(["layer.tar"]);
      expect(await dumpTree(await snapshots.tree(tar.chainId))).toEqual(files.dump);
      expect(await kept(tar)).toEqual(["fs", "layer.tar"]);
      expect(await tarOf(snapshots, tar)).toBe(tar.diffId);
    });

    test("takes directories at once where they come next, and nowhere else", async () => {
      const taken: string[] = [];
      const tree = async (writer: TreeWriter): Promise<void> => {
        const make = async (name: string, mode = folderLooks.mode): Promise<void> => {
          const attributes = { ...folderLooks, mode };
          if (writer.newDirectory(path(name), attributes)) taken.push(name);
          else await writer.directory(path(name), attributes);
        };
        for (const name of ["d", "d/a", "d/a/deep", "d/b"]) await make(name);
        await make("d/b", 0o700);
        // What is above it was not made.
        await make("e/inner");
        await make("e/next");
        await writer.file(path("e/next/file"), looks, Buffer.from("content"));
        await make("f");
      };
      const tar = await commit(tree);
      expect(taken).toEqual(["d", "d/a", "d/a/deep", "d/b", "e/next", "f"]);
      expect(await kept(tar)).toEqual(["layer.tar"]);
      const files = await asFiles(tree, "other");
      expect(tar).toEqual({ ...files.snapshot, created: tar.created });
      expect(await dumpTree(await place.snapshots().tree(tar.chainId))).toEqual(files.dump);
      // With what comes out of order, all become files.
      const mixed = await commit(async (writer) => {
        await tree(writer);
        expect(writer.newDirectory(path("c"), folderLooks)).toBe(false);
        await writer.directory(path("c"), folderLooks);
        expect(writer.newDirectory(path("g"), folderLooks)).toBe(false);
      });
      expect(await kept(mixed)).toEqual(["fs"]);
    });

    test("loses its tar when a sync came after its files", async () => {
      const snapshots = place.snapshots();
      const tar = await commit(plainTree);
      await snapshots.makeDurable(async () => undefined);
      expect(await kept(tar)).toEqual(["layer.tar"]);
      const beside = await open(folders());
      await snapshots.tree(tar.chainId);
      // Another process that works with it takes care of it as well.
      expect(await beside.stat(tar.chainId)).toEqual(tar);
      await beside.makeDurable(async () => undefined);
      expect(await kept(tar)).toEqual(["fs"]);
      await snapshots.makeDurable(async () => undefined);
      // So does one that knew only the tar, and came to the files later.
      const other = await commit(async (writer) => writer.file(path("o"), looks, Buffer.from("o")));
      expect(await beside.stat(other.chainId)).toEqual(other);
      await snapshots.tree(other.chainId);
      await beside.tree(other.chainId);
      await beside.makeDurable(async () => undefined);
      expect(await kept(other)).toEqual(["fs"]);
      const next = await open({ ...folders(), bootId: "another boot" });
      expect(await next.isIntact(tar.chainId)).toBe(true);
      expect(await tarOf(next, tar)).toBe(tar.diffId);
    });

    test("counts after a power cut, and files that no sync came after do not", async () => {
      const snapshots = place.snapshots();
      const tar = await commit(plainTree);
      const lost = await open({ ...folders(), bootId: "after the first power cut" });
      expect(await lost.stat(tar.chainId)).toBeUndefined();
      await snapshots.makeDurable(async () => undefined);
      const dump = await dumpTree(await snapshots.tree(tar.chainId));
      expect(await kept(tar)).toEqual(["fs", "layer.tar"]);
      await truncate(join(folderOf(tar.chainId), "fs", "d", "a"));
      const next = await open({ ...folders(), bootId: "after the second power cut" });
      expect(await dumpTree(await next.tree(tar.chainId))).toEqual(dump);
      await next.makeDurable(async () => undefined);
      expect(await kept(tar)).toEqual(["fs"]);
      expect(await next.isIntact(tar.chainId)).toBe(true);
    });

    test("is not used where a sync failed after its files", async () => {
      const snapshots = place.snapshots();
      const tar = await commit(plainTree);
      await snapshots.makeDurable(async () => undefined);
      await snapshots.tree(tar.chainId);
      const failing = snapshots.makeDurable(() => Promise.reject(new Error("EIO")));
      await expect(failing).rejects.toThrow("EIO");
      const next = await open(folders());
      expect(await next.stat(tar.chainId)).toEqual(tar);
      await next.tree(tar.chainId);
      await next.makeDurable(async () => undefined);
      expect(await kept(tar)).toEqual(["fs"]);
      expect(await next.isIntact(tar.chainId)).toBe(true);
    });

    test("on another one, also a tar, needs the files of what is below", async () => {
      const snapshots = place.snapshots();
      const below = await commit(plainTree);
      const above = await commit(
        async (writer) => writer.file(path("d/inner/more"), looks, Buffer.from("more")),
        { parent: below.chainId },
      );
      expect(await kept(below)).toEqual(["fs", "layer.tar"]);
      expect(await kept(above)).toEqual(["layer.tar"]);
      const names: string[] = [];
      for await (const entry of snapshots.diff(above.chainId))
        names.push(`${rootPathToString(entry.path)} ${String(entry.mode)} ${String(entry.uid)}`);
      expect(names).toEqual(["d 493 7", "d/inner 493 7", "d/inner/more 420 7"]);
      const tree = await snapshots.tree(above.chainId);
      expect((await tree.lstat(path("d/inner/small")))?.size).toBe(5);
      expect((await tree.lstat(path("d/inner/more")))?.size).toBe(4);
    });

    test("is put on another stack as one more name of the tar", async () => {
      const snapshots = place.snapshots();
      const layer = await commit(plainTree);
      const base = await commit(async (writer) => writer.file(path("z"), looks, Buffer.from("z")));
      const stacked = await snapshots.restack(base.chainId, layer.chainId);
      expect(stacked.diffId).toBe(layer.diffId);
      for (const each of [layer, base, stacked]) expect(await kept(each)).toEqual(["layer.tar"]);
      expect((await stat(join(folderOf(stacked.chainId), "layer.tar"))).nlink).toBe(2);
      const dump = await dumpTree(await snapshots.tree(stacked.chainId));
      expect(Object.keys(dump).sort()).toEqual(
        ["", "d", "d/a", "d/b", "d/inner", "d/inner/large", "d/inner/small", "d/link", "z"].sort(),
      );
      await snapshots.makeDurable(async () => undefined);
      expect(await kept(stacked)).toEqual(["fs"]);
      expect(await tarOf(snapshots, stacked)).toBe(layer.diffId);
      await snapshots.remove(stacked.chainId);
      expect(await tarOf(snapshots, layer)).toBe(layer.diffId);
    });

    test.each([
      // In the content of the large file.
      ["changed", async (file: FileHandle) => file.write("y", 1_000_000)],
      ["cut off", async (file: FileHandle) => file.truncate(1500)],
    ])("that was %s is told as such, and is no layer until it is made again", async (_, damage) => {
      const snapshots = place.snapshots();
      const tar = await commit(plainTree);
      const file = await openFile(join(folderOf(tar.chainId), "layer.tar"), "r+");
      await damage(file);
      await file.close();
      expect(await snapshots.isIntact(tar.chainId)).toBe(false);
      await expect(snapshots.tree(tar.chainId)).rejects.toMatchObject({ code: "SNAPSHOT_DAMAGED" });
      expect(await snapshots.stat(tar.chainId)).toBeUndefined();
      expect(await readdir(folders().tmpDir)).toEqual([]);
      expect((await commit(plainTree)).chainId).toBe(tar.chainId);
      expect(await snapshots.isIntact(tar.chainId)).toBe(true);
      expect(Object.keys(await dumpTree(await snapshots.tree(tar.chainId)))).toContain("d/link");
    });

    test("takes up its tar, then both forms, then its files", async () => {
      const snapshots = place.snapshots();
      const layer = await commit(plainTree);
      expect(snapshots.spaceOf(layer)).toBe(layer.tarSize);
      await snapshots.tree(layer.chainId);
      expect(snapshots.spaceOf(layer)).toBe(layer.tarSize + layer.contentSize);
      await snapshots.makeDurable(async () => undefined);
      expect(snapshots.spaceOf(layer)).toBe(layer.contentSize);
    });

    test("is not intact when the files that lie beside it were changed", async () => {
      const snapshots = place.snapshots();
      const tar = await commit(plainTree);
      await snapshots.tree(tar.chainId);
      expect(await kept(tar)).toEqual(["fs", "layer.tar"]);
      expect(await snapshots.isIntact(tar.chainId)).toBe(true);
      await truncate(join(folderOf(tar.chainId), "fs", "d", "a"));
      expect(await snapshots.isIntact(tar.chainId)).toBe(false);
    });

    test("is made of files where a tar cannot say it at once", async () => {
      const odd: Readonly<Record<string, (writer: TreeWriter) => Promise<void>>> = {
        "a mode that is not plain": async (writer) =>
          writer.file(path("d/z"), { ...looks, mode: 0o4755 }, Buffer.from("suid")),
        "a name before the last one": async (writer) =>
          writer.file(path("d/aa"), looks, Buffer.from("late")),
        "a file once more": async (writer) => writer.file(path("d/link"), looks, Buffer.from("x")),
        "a time before 1970": async (writer) =>
          writer.file(path("d/z"), { ...looks, mtime: -5n }, Buffer.from("old")),
        "looks of what is written": async (writer) =>
          writer.setAttributes(path("d/a"), { mode: 0o600 }),
        "a FIFO": async (writer) => writer.fifo(path("d/z"), looks),
        "something removed": async (writer) => writer.remove(path("d/inner")),
      };
      for (const [name, write] of Object.entries(odd)) {
        const both = async (writer: TreeWriter): Promise<void> => {
          await plainTree(writer);
          await write(writer);
          await writer.file(path("e"), looks, Buffer.from(name));
        };
        const made = await commit(both);
        const files = await asFiles(both, "other");
        expect(await kept(made), name).toEqual(["fs"]);
        expect(made.diffId, name).toBe(files.snapshot.diffId);
        const dump = await dumpTree(await place.snapshots().tree(made.chainId));
        expect(dump, name).toEqual(files.dump);
      }
    });

    test("has no names that a disk does not take", async () => {
      const active = await place.snapshots().prepare(undefined, { asTar: true });
      const writer = openTreeWriter(active);
      await plainTree(writer);
      const long = path(`e/${"n".repeat(256)}`);
      await expect(writer.directory(long, folderLooks)).rejects.toMatchObject({
        code: "SNAPSHOT_NAME_TOO_LONG",
      });
      await place.snapshots().abandon(active);
    });

    test("that is given up leaves nothing", async () => {
      const snapshots = place.snapshots();
      const active = await snapshots.prepare(undefined, { asTar: true });
      await plainTree(openTreeWriter(active));
      await snapshots.abandon(active);
      expect(await readdir(folders().tmpDir)).toEqual([]);
    });
  });
}
