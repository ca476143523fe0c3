import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { large, raw } from "../../fixtures/hostile/index.ts";
import { type ChainId, loadSyscalls } from "../../src/core/index.ts";
import { openLayer, resolvePath, rootPath, toRootPath } from "../../src/layer/index.ts";
import { makeDirectories } from "../../src/snapshot/index.ts";
import { applyLayer } from "../../src/snapshot/apply-layer.ts";
import { DirectDisk } from "../../src/snapshot/direct-disk.ts";
import type { LayerDisk } from "../../src/snapshot/layer-disk.ts";
import { LiveTree } from "../../src/snapshot/live-tree.ts";
import { StackTree } from "../../src/snapshot/stack-tree.ts";
import { LayerWriter } from "../../src/snapshot/tree-writer.ts";
import { openCopyHarness } from "../support/copy-harness.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const { device, directory, endMark, file, hardlink: hard, pax, symlink: link } = raw;
type Chunks = Iterable<Buffer>;

/** A stack of layers on real disks, of which every look at a node and every change of one is counted. */
async function openStack() {
  const folder = await temporaryFolder();
  const kernel = await loadSyscalls();
  const below: LayerDisk[] = [];
  let looks = 0;
  const counted = (disk: LayerDisk): LayerDisk =>
    new Proxy(disk, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]): unknown => {
          looks += 1;
          const call = value as (...args: readonly unknown[]) => unknown;
          if (name !== "eachName") return call.apply(target, [...args]);
          const [absolute, tell] = args as Parameters<LayerDisk["eachName"]>;
          target.eachName(absolute, (...each) => {
            looks += 1;
            tell(...each);
          });
          return undefined;
        };
      },
    });
  return {
    /** Applies one more layer; says how many looks that took. */
    apply: async (chunks: Chunks): Promise<number> => {
      const place = join(folder, String(below.length));
      mkdirSync(place);
      const disk = counted(new DirectDisk(kernel, Buffer.from(place)));
      const lower = new StackTree([...below]);
      const tree = new LiveTree({ disk, lower });
      const writer = new LayerWriter({ disk, lower, form: "overlay" });
      const { entries } = await openLayer(Readable.from(chunks));
      looks = 0;
      await applyLayer({ tree, writer }, entries);
      below.unshift(disk);
      return looks;
    },
    /** A new layer, with what counts in it. */
    begin: () => {
      const place = join(folder, String(below.length));
      mkdirSync(place);
      const disk = counted(new DirectDisk(kernel, Buffer.from(place)));
      const lower = new StackTree([...below]);
      looks = 0;
      const tree = new LiveTree({ disk, lower });
      const writer = new LayerWriter({ disk, lower, form: "overlay" });
      return { tree, writer, looks: () => looks };
    },
  };
}

function* each(count: number, make: (index: number) => Buffer): Generator<Buffer> {
  for (let index = 0; index < count; index++) yield make(index);
}

function* archive(...parts: readonly Chunks[]): Generator<Buffer> {
  for (const part of parts) yield* part;
  yield endMark;
}

const filled = (count: number): Chunks =>
  each(count, (at) => Buffer.concat([directory(`w/d${String(at)}`), file(`w/d${String(at)}/f`)]));
const mark = (path: string): Buffer => file(`${path}.wh..wh..opq`, "");

/** Layers of some size, each on its lower ones. */
const attacks: Readonly<Record<string, (size: number) => readonly Chunks[]>> = {
  "one name of many components": (size) => [large.deepByName(size)],
  "one name of many components, on a directory as deep": (size) => [
    large.deepByName(size),
    archive([pax([["path", `${"d/".repeat(size)}f`]]), file("x")]),
  ],
  "a removal as deep as a lower directory": (size) => [
    archive([pax([["path", `${"d/".repeat(size)}f`]]), file("x")]),
    archive([pax([["path", `${"d/".repeat(size)}.wh.f`]]), file("x", "")]),
  ],
  "a link to a lower file as deep": (size) => [
    archive([pax([["path", `${"d/".repeat(size)}f`]]), file("x")]),
    archive([hard("link", `${"d/".repeat(size)}f`)]),
  ],
  "full directories, each replaced by a file": (size) => [
    archive(
      filled(size),
      each(size, (at) => file(`w/d${String(at)}`)),
    ),
  ],
  "removals of files": (size) => [
    archive(each(size, (at) => file(`w/f${String(at)}`))),
    archive(each(size, (at) => file(`w/.wh.f${String(at)}`, ""))),
  ],
  "removals of nothing": (size) => [
    archive(each(size, (at) => file(`w/f${String(at)}`))),
    archive(each(size, (at) => file(`w/.wh.g${String(at)}`, ""))),
  ],
  "links to lower files, and marks that hide those": (size) => [
    archive(filled(size)),
    archive(
      each(size, (at) => hard(`l${String(at)}`, `w/d${String(at)}/f`)),
      each(size, (at) => mark(`w/d${String(at)}/`)),
    ),
  ],
  "a full directory hidden again and again": (size) => [
    archive(filled(size)),
    archive(
      each(size, (at) => file(`w/n${String(at)}`)),
      each(size, () => mark("w/")),
    ),
  ],
  "the root hidden again and again": (size) => [
    archive(each(size, (at) => file(`f${String(at)}`))),
    archive(
      each(size, (at) => file(`n${String(at)}`)),
      each(size, () => mark("")),
    ),
  ],
  "many files in a chain of directories, each hidden from the bottom up": (size) => [
    archive([file(`${"d/".repeat(20)}f`)]),
    archive(
      each(size, (at) => file(`${"d/".repeat(20)}${String(at)}`)),
      each(20, (at) => mark("d/".repeat(20 - at))),
    ),
  ],
  "files behind a chain of links": (size) => [
    archive(
      each(50, (at) => link(`l${String(at)}`, `l${String(at + 1)}`)),
      [directory("l50")],
      each(size, (at) => file(`l0/f${String(at)}`)),
    ),
  ],
};

test.each(Object.keys(attacks))("costs no more than twice for twice as many: %s", async (name) => {
  const costOf = async (size: number): Promise<number> => {
    const stack = await openStack();
    let last = 0;
    for (const layer of attacks[name]?.(size) ?? []) last = await stack.apply(layer);
    return last;
  };
  const [small, big] = [await costOf(100), await costOf(200)];
  expect(small).toBeGreaterThan(20);
  expect(big).toBeLessThan(2.1 * small);
});

test("what was looked up and is forgotten is found again in one walk", async () => {
  const costOf = async (depth: number): Promise<number> => {
    const stack = await openStack();
    const deep = "d/".repeat(depth);
    const again = (at: number): Buffer =>
      Buffer.concat([
        link("a", `b${String(at)}`),
        file("a/x"),
        pax([["path", deep + String(at)]]),
        file("x"),
      ]);
    return stack.apply(archive([pax([["path", deep]]), directory("x")], each(50, again)));
  };
  expect(await costOf(200)).toBeLessThan(2.1 * (await costOf(100)));
});

test("a path of the writer's own layer is resolved in one walk, and made in one", async () => {
  const costOf = async (depth: number): Promise<number> => {
    const { tree, writer, looks } = (await openStack()).begin();
    const path = toRootPath("d/".repeat(depth));
    const attributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0n };
    await makeDirectories({ tree, writer, path, attributes });
    await resolvePath(tree, path, { followLast: true });
    return looks();
  };
  expect(await costOf(400)).toBeLessThan(2.1 * (await costOf(200)));
});

test("what others may change is not remembered: a directory that a process exchanged", async () => {
  const folder = await temporaryFolder();
  const kernel = await loadSyscalls();
  const disk = new DirectDisk(kernel, Buffer.from(folder));
  const tree = new LiveTree({ disk, lower: new StackTree([]) });
  mkdirSync(join(folder, "d/e"), { recursive: true });
  const path = toRootPath("d/e");
  expect((await tree.lstat(path))?.type).toBe("directory");
  disk.openToOthers();
  renameSync(join(folder, "d"), join(folder, "away"));
  symlinkSync("away", join(folder, "d"));
  expect(await tree.lstat(path)).toBeUndefined();
});

test("a name of a hidden root stays hidden when what came in its place goes", async () => {
  const { snapshots } = (await openCopyHarness()).environment;
  const layer = async (parent: ChainId | undefined, ...parts: readonly Buffer[]) =>
    (await snapshots.apply(parent, await openLayer(Readable.from([...parts, endMark])))).chainId;
  const lower = await layer(undefined, file("f", "lower"));
  const chain = await layer(lower, mark(""), file("f", "upper"), device("3", "f", [0, 0]));
  expect(await (await snapshots.tree(chain)).readdir(rootPath)).toEqual([]);
});
