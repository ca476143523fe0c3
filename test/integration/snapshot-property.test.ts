import { chmod, mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ChainId,
  digestOf,
  isTsbuildError,
  loadSyscalls,
  removeTree,
} from "../../src/core/index.ts";
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
import { testedKinds, whyNoOverlay } from "../support/snapshot-kinds.ts";
import { dumpMount, dumpTree, withLinksOfGnuTar } from "../support/tree-dump.ts";

let folder: string;
type Kind = "overlayfs" | "copy" | "unprivileged";
const kinds: readonly Kind[] = [...testedKinds, "unprivileged"];
const snapshotters = new Map<Kind, Snapshotter>();
const nobody = 65_534;

/** Runs `work` as a user who owns nothing and may do nothing, if `kind` says so. */
async function as<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
  if (kind !== "unprivileged") return work();
  process.setegid?.(nobody);
  process.seteuid?.(nobody);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-property-"));
  await chmod(folder, 0o777);
  await loadSyscalls();
  process.setgroups?.([]);
  for (const name of kinds) {
    const folders = { directory: join(folder, name), tmpDir: join(folder, `${name}-tmp`) };
    await as(name, async () => {
      await Promise.all(Object.values(folders).map(async (path) => mkdir(path)));
      const kind = name === "overlayfs" ? name : "copy";
      snapshotters.set(name, await openSnapshotter({ ...folders, kind }));
    });
  }
});

afterAll(async () => removeTree(folder));

// Few names, so that operations meet.
const path = fc
  .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 })
  .map((parts) => toRootPath(parts.join("/")));
const looks = fc.record({
  mode: fc.constantFrom(0o755, 0o4711, 0o2770, 0o600, 0o111),
  uid: fc.constantFrom(0, 1000),
  gid: fc.constantFrom(0, 50),
  xattrs: fc.constantFrom(
    new Map(),
    new Map([["trusted.of-root", Buffer.from([0, 255])]]),
    new Map([
      ["security.capability", Buffer.from("0100000200200000000000000000000000000000", "hex")],
    ]),
  ),
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
  fc.tuple(path, looks, fc.constantFrom("char-device" as const, "block-device" as const)).map(
    ([to, like, type]): Operation =>
      (writer) =>
        writer.device(to, like, { type, major: 1, minor: 259 }),
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

/** What cannot be done (a file as a parent) is left out. */
async function perform(active: ActiveSnapshot, operations: readonly Operation[]): Promise<void> {
  const writer = openTreeWriter(active);
  for (const operate of operations) {
    try {
      await operate(writer);
    } catch (error) {
      if (!isTsbuildError(error) || !error.code.startsWith("SNAPSHOT_")) throw error;
    }
  }
  await writer.finish();
}

/** The digest may be taken while the layer is written; it is that of the entries on disk all the same. */
async function expectWalked(snapshots: Snapshotter, snapshot: Snapshot): Promise<void> {
  const tar = Buffer.concat(await collect(layerTarChunks(snapshots.diff(snapshot.chainId))));
  expect({ diffId: snapshot.diffId, size: snapshot.tarSize }).toEqual({
    diffId: digestOf(tar),
    size: tar.length,
  });
}

async function build(kind: Kind, changes: readonly (readonly Operation[])[]) {
  const snapshots = snapshotters.get(kind);
  if (snapshots === undefined) throw new Error("opened before");
  let top: ChainId | undefined;
  for (const operations of changes) {
    const active = await snapshots.prepare(top);
    await perform(active, operations);
    const snapshot = await snapshots.commit(active);
    top = snapshot.chainId;
    await expectWalked(snapshots, snapshot);
  }
  if (top === undefined) throw new Error("there is a change");
  return { snapshots, top, dump: await dumpTree(await snapshots.tree(top)) };
}

for (const kind of kinds) {
  test(`${kind}: apply(diff(a, b), a) = b`, async () => {
    const property = fc.asyncProperty(change, change, change, async (...changes) =>
      as(kind, async () => {
        const { snapshots, top, dump } = await build(kind, changes);
        const { parent } = (await snapshots.stat(top)) ?? {};
        const layer = await layerOf(await collect(snapshots.diff(top)));
        await snapshots.remove(top);
        const again = await snapshots.apply(parent, layer);
        expect(again.chainId).toBe(top);
        expect(await dumpTree(await snapshots.tree(top))).toEqual(dump);
        await snapshots.remove(top);
      }),
    );
    await fc.assert(property, { numRuns: 40 });
  });
}

test("all kinds end in the same state, and in the same layers", async (ctx) => {
  if (whyNoOverlay !== undefined) return ctx.skip(whyNoOverlay);
  await fc.assert(
    fc.asyncProperty(change, change, async (...changes) => {
      const overlay = await build("overlayfs", changes);
      for (const kind of ["copy", "unprivileged"] as const) {
        const other = await as(kind, async () => build(kind, changes));
        expect(other.dump).toEqual(overlay.dump);
        expect(other.top).toBe(overlay.top);
      }
    }),
    { numRuns: 40 },
  );
});

test("the kernel shows what the merged view shows", async (ctx) => {
  if (whyNoOverlay !== undefined) return ctx.skip(whyNoOverlay);
  await fc.assert(
    fc.asyncProperty(change, change, change, async (...changes) => {
      const { snapshots, top, dump } = await build("overlayfs", changes);
      expect(await dumpMount(await snapshots.view(top))).toEqual(withLinksOfGnuTar(dump));
    }),
    { numRuns: 15 },
  );
});
