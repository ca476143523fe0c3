import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readFieldsOf } from "../../src/build/read-set.ts";
import { openStatCache } from "../../src/context/index.ts";
import type { CopyOp } from "../../src/plan/index.ts";
import type { CommitOptions, Snapshot } from "../../src/snapshot/index.ts";
import { collect } from "../support/collect.ts";
import { type CopyHarness, openCopyHarness } from "../support/copy-harness.ts";
import { directoryEntry, fileEntry, hardlinkEntry } from "../support/layer-entries.ts";

/** Some ten megabytes written into a layer as a RUN does it, behind its writer's back. */
async function commitMany({ environment }: CopyHarness, options: CommitOptions): Promise<Snapshot> {
  const { snapshots } = environment;
  const active = await snapshots.prepare(undefined);
  const { directory } = active;
  for (let number = 0; number < 1200; number++) {
    const folder = join(directory, `d${String(number % 60)}`);
    if (number < 60) mkdirSync(folder);
    const path = join(folder, `f${String(number)}`);
    const size = number === 7 ? 3_000_000 : (number * 97) % 12_000;
    writeFileSync(path, "x".repeat(size));
    if (number % 100 === 0) linkSync(path, `${path}-second`);
    if (number % 90 === 0) symlinkSync("nowhere", `${path}-link`);
  }
  try {
    return await snapshots.commit(active, options);
  } catch (error) {
    await snapshots.abandon(active);
    throw error;
  }
}

test("a commit that is canceled ends, and leaves no layer", async () => {
  const harness = await openCopyHarness();
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(commitMany(harness, { signal })).rejects.toThrow("enough");
  expect(await collect(harness.environment.snapshots.list())).toEqual([]);
});

test("a directory of thousands is told in order, removals first, with the links between its files", async () => {
  const harness = await openCopyHarness();
  const names = Array.from({ length: 6000 }, (_, number) => `d/${String(number).padStart(4, "0")}`);
  const removed = ["d/.wh.0007", "d/.wh.a"];
  const below = ["d/0007", "d/a"].map((name) => fileEntry(name, "below"));
  const files = names.filter((name) => name !== "d/0007").map((name) => fileEntry(name, name));
  const made = await harness.layers(
    [directoryEntry("d"), ...below],
    [
      directoryEntry("d"),
      ...files.reverse(),
      hardlinkEntry("d/z", "d/0300"),
      ...removed.map((name) => fileEntry(name)),
    ],
  );
  const layer = await harness.layer(made);
  const rest = [...names.filter((name) => name !== "d/0007"), "d/z"];
  expect(Object.keys(layer)).toEqual(["d", ...removed, ...rest]);
  expect(layer["d/5999"]).toBe("file 644 0:0 @0 d/5999");
  expect(layer["d/z"]).toContain("hardlink");
});

const copy: CopyOp = {
  type: "copy",
  instruction: "COPY",
  sources: [
    { type: "path", input: 1, pattern: "d1*", unpack: false, keepOwner: false, fromUrl: false },
  ],
  destination: "/",
  link: false,
  parents: false,
  exclude: [],
};

test("files of a layer are read once for the keys of steps that copy them", async (ctx) => {
  const { environment, ...harness } = await openCopyHarness();
  const { snapshots, store } = environment;
  if (snapshots.kind === "copy") ctx.skip("what a place refuses lies beside the files there");
  const { chainId, diffId } = await commitMany({ environment, ...harness }, {});
  const result = { type: "layers", chainId, diffIds: [diffId], created: "" } as const;
  const keysOf = async (isKept: boolean) => {
    const notes = { path: snapshots.notesOf(chainId), tmpDir: store.tmpDir };
    const layerDigests = async () => openStatCache(notes);
    const given = isKept ? { ...environment, layerDigests } : environment;
    const { local } = await snapshots.tree(chainId);
    if (local === undefined) throw new Error("layers lie on this machine");
    let opened = 0;
    const { open } = local;
    local.open = (path, stat) => {
      opened += 1;
      return open(path, stat);
    };
    const fields = await readFieldsOf({ op: copy, index: 1, result, environment: given });
    local.open = open;
    return { opened, fields: fields.flatMap((each) => [...each]) };
  };
  // A file that was written this moment could change again without a trace.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const without = await keysOf(false);
  const first = await keysOf(true);
  const second = await keysOf(true);
  expect(without.opened).toBeGreaterThan(200);
  expect([first.opened, second.opened]).toEqual([without.opened, 0]);
  expect(first.fields).toEqual(without.fields);
  expect(second.fields).toEqual(without.fields);
});
