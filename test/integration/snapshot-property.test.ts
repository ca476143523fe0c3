import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ChainId, digestOf, isTsbuildError, removeTree } from "../../src/core/index.ts";
import { layerTarChunks, toRootPath } from "../../src/layer/index.ts";
import {
  type ActiveSnapshot,
  openSnapshotter,
  openTreeWriter,
  type Snapshot,
  type Snapshotter,
  type TreeWriter,
} from "../../src/snapshot/index.ts";
import { collect } from "../support/collect.ts";
import { layerOf } from "../support/layer-source.ts";
import { dumpMount, dumpTree } from "../support/tree-dump.ts";

let folder: string;
const snapshotters = new Map<"overlayfs" | "copy", Snapshotter>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-property-"));
  for (const kind of ["overlayfs", "copy"] as const) {
    const folders = { directory: join(folder, kind), tmpDir: join(folder, `${kind}-tmp`) };
    await Promise.all(Object.values(folders).map(async (path) => mkdir(path)));
    snapshotters.set(kind, await openSnapshotter({ ...folders, kind }));
  }
});

afterAll(async () => removeTree(folder));

// Few names, so that operations meet.
const path = fc
  .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 })
  .map((parts) => toRootPath(parts.join("/")));
const looks = fc.record({
  mode: fc.constantFrom(0o755, 0o4711, 0o2770, 0o600),
  uid: fc.constantFrom(0, 1000),
  gid: fc.constantFrom(0, 50),
  mtime: fc.bigInt({ min: -5_000_000_000n, max: 2_000_000_000_000_000_000n }),
});

type Operation = (writer: TreeWriter) => Promise<void>;

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(path, looks, fc.string({ maxLength: 5 })).map(
    ([to, like, text]): Operation =>
      (writer) =>
        writer.file(to, like, Buffer.from(text)),
  ),
  fc.tuple(path, looks).map(
    ([to, like]): Operation =>
      (writer) =>
        writer.directory(to, like),
  ),
  fc.tuple(path, looks, fc.constantFrom("a", "../b", "/c")).map(
    ([to, like, at]): Operation =>
      (writer) =>
        writer.symlink(to, like, Buffer.from(at)),
  ),
  fc.tuple(path, path).map(
    ([to, from]): Operation =>
      (writer) =>
        writer.hardlink(to, from),
  ),
  fc.tuple(path, looks).map(
    ([to, like]): Operation =>
      (writer) =>
        writer.setAttributes(to, like),
  ),
  path.map(
    (at): Operation =>
      (writer) =>
        writer.remove(at),
  ),
  path.map(
    (at): Operation =>
      (writer) =>
        writer.hideLower(at),
  ),
  path.map(
    (at): Operation =>
      (writer) =>
        writer.hideLowerChildren(at),
  ),
);
const change = fc.array(operation, { minLength: 1, maxLength: 12 });

/** Whether everything could be done; what cannot be done (a file as a parent) is left out. */
async function perform(active: ActiveSnapshot, operations: readonly Operation[]): Promise<boolean> {
  const writer = openTreeWriter(active);
  let isWhole = true;
  for (const operate of operations) {
    try {
      await operate(writer);
    } catch (error) {
      if (!isTsbuildError(error) || !error.code.startsWith("SNAPSHOT_")) throw error;
      isWhole = false;
    }
  }
  await writer.finish();
  return isWhole;
}

/** The digest may be taken while the layer is written; it is that of the entries on disk all the same. */
async function expectWalked(snapshots: Snapshotter, snapshot: Snapshot): Promise<void> {
  const tar = Buffer.concat(await collect(layerTarChunks(snapshots.diff(snapshot.chainId))));
  expect({ diffId: snapshot.diffId, size: snapshot.tarSize }).toEqual({
    diffId: digestOf(tar),
    size: tar.length,
  });
}

async function build(kind: "overlayfs" | "copy", changes: readonly (readonly Operation[])[]) {
  const snapshots = snapshotters.get(kind);
  if (snapshots === undefined) throw new Error("opened before");
  let top: ChainId | undefined;
  let isWhole = true;
  for (const operations of changes) {
    const active = await snapshots.prepare(top);
    isWhole = (await perform(active, operations)) && isWhole;
    const snapshot = await snapshots.commit(active);
    top = snapshot.chainId;
    await expectWalked(snapshots, snapshot);
  }
  if (top === undefined) throw new Error("there is a change");
  return { snapshots, top, isWhole, dump: await dumpTree(await snapshots.tree(top)) };
}

for (const kind of ["overlayfs", "copy"] as const) {
  test(`${kind}: apply(diff(a, b), a) = b`, async () => {
    await fc.assert(
      fc.asyncProperty(change, change, change, async (...changes) => {
        const { snapshots, top, dump } = await build(kind, changes);
        const { parent } = (await snapshots.stat(top)) ?? {};
        const layer = await layerOf(await collect(snapshots.diff(top)));
        await snapshots.remove(top);
        const again = await snapshots.apply(parent, layer);
        expect(again.chainId).toBe(top);
        expect(await dumpTree(await snapshots.tree(top))).toEqual(dump);
        await snapshots.remove(top);
      }),
      { numRuns: 60 },
    );
  });
}

test("both kinds end in the same state", async () => {
  await fc.assert(
    fc.asyncProperty(change, change, async (...changes) => {
      const overlay = await build("overlayfs", changes);
      const copy = await build("copy", changes);
      if (overlay.isWhole) expect(overlay.dump).toEqual(copy.dump);
    }),
    { numRuns: 60 },
  );
});

test("the kernel shows what the merged view shows", async () => {
  await fc.assert(
    fc.asyncProperty(change, change, change, async (...changes) => {
      const { snapshots, top, dump } = await build("overlayfs", changes);
      expect(await dumpMount(await snapshots.view(top))).toEqual(dump);
    }),
    { numRuns: 15 },
  );
});
