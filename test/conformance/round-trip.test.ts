import { mkdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { afterAll, describe, expect, test, type TestContext } from "vitest";
import { type ChainId, diffId, digestOf, extendChain, removeTree } from "../../src/core/index.ts";
import { openLayer, writeLayerTar } from "../../src/layer/index.ts";
import { openSnapshotter, type Snapshotter } from "../../src/snapshot/index.ts";
import { type Containerd, startContainerd } from "../support/containerd.ts";
import { readLayers, writeLayout } from "../support/oci-layout.ts";
import { makeFolder } from "../support/setup-context.ts";
import { runProgram, whatIsLacking } from "../support/setup-workspace.ts";
import {
  changeDirectory,
  changeMounted,
  dumpDirectory,
  dumpMounted,
  dumpMountedBy,
  inWholeSeconds,
  packMounted,
  type WildChange,
  wildChanges,
  type WildDump,
  withLinksOfGnuTar,
  withoutRootTime,
} from "../support/wild-tree.ts";

// Trees of everything that Linux has, changed by plain system calls in a mounted state; what is made of their layers by
// us and by others must be what the kernel showed. ROUND_TRIP_RUNS=1000 PROPERTY_SEED=random looks longer; with the seed of
// a failure it also looks for the smallest changes that show it, which takes minutes.
const numRuns = Number(process.env["ROUND_TRIP_RUNS"] ?? 3);
const isSought = /^-?\d+$/.test(process.env["PROPERTY_SEED"] ?? "");
const parameters = { numRuns, ...(isSought ? {} : { endOnFailure: true }) };
const lacking = whatIsLacking(["python3", "tar"]);

/** A stack of layers, what the kernel showed of each state, and the last one packed by GNU tar. */
interface Stack {
  readonly tars: readonly Buffer[];
  readonly states: readonly WildDump[];
  readonly packed: Buffer;
}

let containerd: Containerd | undefined;
afterAll(async () => containerd?.stop());

async function useContainerd(test: TestContext): Promise<Containerd> {
  skipWithout(test, ["containerd", "ctr"]);
  return (containerd ??= await startContainerd());
}

function skipWithout(test: TestContext, programs: readonly string[]): void {
  const missing = whatIsLacking(programs);
  if (missing !== undefined) test.skip(missing);
}

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await makeFolder("round-trip");
  try {
    return await work(folder);
  } finally {
    await removeTree(folder);
  }
}

async function openIn(folder: string, kind: "overlayfs" | "copy"): Promise<Snapshotter> {
  const folders = { directory: join(folder, "snapshots"), tmpDir: join(folder, "tmp") };
  for (const path of Object.values(folders)) await mkdir(path);
  return openSnapshotter({ ...folders, kind });
}

async function makeStack(layers: readonly (readonly WildChange[])[]): Promise<Stack> {
  return withFolder(async (folder) => {
    const snapshots = await openIn(folder, "overlayfs");
    const [tars, states]: [Buffer[], WildDump[]] = [[], []];
    let top: ChainId | undefined;
    for (const changes of layers) {
      const active = await snapshots.prepare(top);
      changeMounted(await active.mount(), changes);
      const committed = await snapshots.commit(active);
      top = committed.chainId;
      const tar = await buffer(writeLayerTar(snapshots.diff(top)));
      expect(digestOf(tar)).toBe(committed.diffId);
      tars.push(tar);
      states.push(dumpMounted(await snapshots.view(top)));
    }
    return { tars, states, packed: packMounted(await snapshots.view(top)) };
  });
}

/** Applies layers, compressed or not, in a new place; returns what the kernel shows of each state. */
async function applyAll(
  layers: readonly Buffer[],
  kind: "overlayfs" | "copy" = "overlayfs",
): Promise<WildDump[]> {
  return withFolder(async (folder) => {
    const snapshots = await openIn(folder, kind);
    const states: WildDump[] = [];
    let top: ChainId | undefined;
    for (const bytes of layers) {
      const layer = await openLayer(Readable.from([bytes]));
      top = (await snapshots.apply(top, layer)).chainId;
      states.push(dumpMounted(await snapshots.view(top)));
    }
    return states;
  });
}

/** Calls `judge` with stacks of two layers, and a folder of its own. */
async function everyStack(judge: (stack: Stack, folder: string) => Promise<void>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(wildChanges, wildChanges, async (...layers) => {
      const stack = await makeStack(layers);
      await withFolder(async (folder) => judge(stack, folder));
    }),
    parameters,
  );
}

let images = 0;

/** Brings the layers into containerd's store, unpacked; returns the image's name. */
async function importInto(
  { client }: Containerd,
  { folder, tars }: { readonly folder: string; readonly tars: readonly Buffer[] },
): Promise<string> {
  const layout = join(folder, "layout");
  images += 1;
  const tag = `number-${String(images)}`;
  await writeLayout(layout, { tag, layers: tars });
  await runProgram("tar", ["-C", layout, "-cf", `${layout}.tar`, "."]);
  await runProgram("sh", ["-ec", `${client} images import --base-name judged '${layout}.tar'`]);
  return `judged:${tag}`;
}

describe.skipIf(lacking !== undefined)("apply(diff(a, b), a) = b", () => {
  test.each(["overlayfs", "copy"] as const)("in the %s form", async (kind) => {
    await everyStack(async ({ tars, states }) => {
      expect(await applyAll(tars, kind)).toEqual(states);
    });
  });

  test("by umoci", async (test) => {
    skipWithout(test, ["umoci"]);
    await everyStack(async ({ tars, states }, folder) => {
      const [layout, bundle] = [join(folder, "layout"), join(folder, "bundle")];
      await writeLayout(layout, { tag: "image", layers: tars });
      await runProgram("umoci", ["unpack", "--image", `${layout}:image`, bundle]);
      expect(dumpDirectory(join(bundle, "rootfs"))).toEqual(states.at(-1));
    });
  });

  test("by containerd", async (test) => {
    const place = await useContainerd(test);
    await everyStack(async ({ tars, states }, folder) => {
      const name = await importInto(place, { folder, tars });
      const shown = dumpMountedBy(`${place.client} images mount ${name} "$target" >/dev/null`);
      expect(withoutRootTime(shown)).toEqual(withoutRootTime(states.at(-1) ?? {}));
    });
  });

  test("by GNU tar, where there is nothing below", async () => {
    await everyStack(async ({ tars, states }, folder) => {
      const [archive, root] = [join(folder, "layer.tar"), join(folder, "root")];
      await mkdir(root);
      // A layer without any change says nothing about the root.
      await utimes(root, 0, 0);
      await writeFile(archive, tars[0] ?? "");
      const flags = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner"];
      await runProgram("tar", ["-C", root, ...flags, "-xpf", archive]);
      expect(dumpDirectory(root)).toEqual(states[0]);
    });
  });
});

describe.skipIf(lacking !== undefined)("what others make of a tree gives the same tree", () => {
  test("GNU tar, of all of it", async () => {
    await everyStack(async ({ states, packed }) => {
      expect(await applyAll([packed])).toEqual([withLinksOfGnuTar(states.at(-1) ?? {})]);
    });
  });

  test("containerd, of what differs", async (test) => {
    const place = await useContainerd(test);
    await everyStack(async ({ tars, states }, folder) => {
      await importInto(place, { folder, tars });
      const file = join(folder, "diff.tar");
      const flags = "--media-type application/vnd.oci.image.layer.v1.tar";
      const layers: Buffer[] = [];
      let chain: ChainId | undefined;
      for (const tar of tars) {
        chain = extendChain(chain, diffId(digestOf(tar)));
        await runProgram("sh", [
          "-ec",
          `${place.client} snapshots diff ${flags} ${chain} >'${file}'`,
        ]);
        layers.push(await readFile(file));
      }
      const applied = await applyAll(layers);
      const told = (state: WildDump): WildDump => inWholeSeconds(state, "down");
      expect(applied.map(told)).toEqual(states.map(told));
    });
  });

  test("umoci, of what differs", async (test) => {
    skipWithout(test, ["umoci"]);
    await fc.assert(
      fc.asyncProperty(wildChanges, wildChanges, async (below, changes) => {
        const { tars } = await makeStack([below]);
        await withFolder(async (folder) => {
          const [layout, bundle] = [join(folder, "layout"), join(folder, "bundle")];
          await writeLayout(layout, { tag: "image", layers: tars });
          await runProgram("umoci", ["unpack", "--image", `${layout}:image`, bundle]);
          const root = join(bundle, "rootfs");
          changeDirectory(root, changes);
          await runProgram("umoci", ["repack", "--image", `${layout}:new`, bundle]);
          const applied = (await applyAll(await readLayers(layout, "new"))).at(-1) ?? {};
          const told = (state: WildDump): WildDump => inWholeSeconds(state, "to the nearest");
          expect(told(applied)).toEqual(told(dumpDirectory(root)));
        });
      }),
      parameters,
    );
  });
});
