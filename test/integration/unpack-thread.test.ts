import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  type ChainId,
  isTsbuildError,
  type JobThread,
  loadSyscalls,
  makeFolder,
} from "../../src/core/index.ts";
import type { LayerEntryWithContent } from "../../src/layer/index.ts";
import { openSnapshotter, type Snapshotter } from "../../src/snapshot/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { openTestThread } from "../support/file-thread.ts";
import { directoryEntry, fileEntry, hardlinkEntry } from "../support/layer-entries.ts";
import { layerOf, tarDigestOf } from "../support/layer-source.ts";
import { StrangeLayers } from "../support/strange-layer.ts";
import { smallDisk } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { dumpTree } from "../support/tree-dump.ts";

/** How many stacks of layers that a stranger may have written; more on request. */
const rounds = Number(process.env["TSBUILD_TEST_ROUNDS"] ?? 10);

let folder: string;
beforeEach(async () => {
  await loadSyscalls();
  folder = await temporaryFolder();
});

type Place = Snapshotter & { readonly tmpDir: string };

/** In the form in which another thread may make files. */
async function open(name: string, below = folder): Promise<Place> {
  const [directory, tmpDir] = [join(below, name), join(below, `${name}-tmp`)];
  for (const path of [directory, tmpDir]) makeFolder(path);
  const snapshots = await openSnapshotter({ directory, tmpDir, kind: "overlayfs" });
  return Object.assign(snapshots, { tmpDir });
}

type Entries = readonly LayerEntryWithContent[];

/** What becomes of a stack of layers: the state after each, and its own part of it as a tar; or what is wrong. */
async function outcome(place: Place, layers: readonly Entries[], thread?: JobThread) {
  const states: object[] = [];
  let parent: ChainId | undefined;
  for (const entries of layers) {
    try {
      ({ chainId: parent } = await place.apply(parent, await layerOf(entries), { thread }));
    } catch (error) {
      if (!isTsbuildError(error)) throw error;
      const { code, message, details } = error;
      return { states, error: { code, message, details } };
    }
    const tree = await dumpTree(await place.tree(parent));
    states.push({ tar: (await tarDigestOf(place.diff(parent))).digest, tree });
  }
  return { states, error: undefined };
}

describe("a second thread that makes a layer's files", () => {
  test(`changes nothing about what becomes of ${String(rounds)} strange stacks`, async () => {
    const [alone, helped] = [await open("alone"), await open("helped")];
    const { thread } = await openTestThread();
    const seen = { files: 0, right: 0 };
    const post = thread.post.bind(thread);
    thread.post = (job) => {
      if ("marks" in job) seen.files += (job.marks as Uint8Array).length;
      return post(job);
    };
    for (let seed = 1; seed <= rounds; seed++) {
      const strange = new StrangeLayers(seed);
      const layers = [strange.layer(40), strange.layer(90), strange.layer(40)];
      const expected = await outcome(alone, layers);
      expect(await outcome(helped, layers, thread), `seed ${String(seed)}`).toEqual(expected);
      if (expected.error === undefined) seen.right += 1;
    }
    expect(seen.right).toBeGreaterThan(rounds * 0.6);
    expect(seen.files).toBeGreaterThan(rounds * 15);
    expect(readdirSync(helped.tmpDir)).toEqual([]);
  });

  const numbered = (count: number, name: string, size = 1) =>
    Array.from({ length: count }, (_, n) =>
      fileEntry(`${name}${String(n).padStart(3, "0")}`, Buffer.alloc(size, String(n))),
    );

  test("is asked whatever the order of the entries is, and behind whiteouts", async () => {
    const place = await open("unsorted");
    const { thread } = await openTestThread();
    const lower = await place.apply(undefined, await layerOf(numbered(3, "old")));
    let files = 0;
    const post = thread.post.bind(thread);
    thread.post = (job) => {
      if ("marks" in job) files += (job.marks as Uint8Array).length;
      return post(job);
    };
    const entries = [
      fileEntry(".wh.old001"),
      directoryEntry("z"),
      directoryEntry("a"),
      ...numbered(300, "z/f"),
      ...numbered(300, "a/f"),
    ];
    const { chainId } = await place.apply(lower.chainId, await layerOf(entries), { thread });
    expect(files).toBe(600);
    expect(Object.keys(await dumpTree(await place.tree(chainId)))).toHaveLength(605);
  });

  test("is waited for by what goes where a file of its own was to be", async () => {
    const { thread } = await openTestThread();
    const wide = [directoryEntry("d"), ...numbered(900, "d/f")];
    const below = [...wide, fileEntry("e", "file"), fileEntry("e/below", "y")];
    const place = await open("replaced");
    const applied = place.apply(undefined, await layerOf(below), { thread });
    await expect(applied).rejects.toMatchObject({ code: "SNAPSHOT_NOT_A_DIRECTORY" });
    expect(readdirSync(place.tmpDir)).toEqual([]);
  });

  test("is not asked for a file in the place of a directory: what is below goes first", async () => {
    const { thread } = await openTestThread();
    const active = await (await open("instead")).prepare(undefined);
    const writer = active.openWriter({ thread });
    const looks = { mode: 0o755, uid: 0, gid: 0, mtime: 0n };
    await writer.directory(Buffer.from("d"), looks);
    expect(writer.smallFile(Buffer.from("d"), looks, Buffer.from("x"))).toBe(false);
    expect(writer.smallFile(Buffer.from("e"), looks, Buffer.from("x"))).toBe(true);
    await writer.finish();
  });

  test("fails for the first file that fails, whatever comes behind it", async () => {
    const [alone, helped] = [await open("alone"), await open("helped")];
    const { thread } = await openTestThread();
    const name = `d/${"x".repeat(300)}`;
    const wide = [directoryEntry("d"), ...numbered(900, "d/f"), fileEntry(name, "too long")];
    const behind = [[], [hardlinkEntry("l", "missing")], [directoryEntry("d"), fileEntry("e")]];
    for (const rest of behind) {
      const layers = [[...wide, ...numbered(9, "d/g"), ...rest]];
      const expected = await outcome(alone, layers);
      expect(expected.error).toMatchObject({
        code: "SNAPSHOT_NAME_TOO_LONG",
        details: { entry: expect.stringContaining("d/xxx") as string },
      });
      expect(await outcome(helped, layers, thread)).toEqual(expected);
    }
  });

  test("fails for the first of two that fail in memory that was used in another order", async () => {
    const { thread } = await openTestThread();
    const [isOver, over] = [thread.isOver.bind(thread), thread.over.bind(thread)];
    let isWaited = false;
    let asked = 0;
    // The first piece of memory serves again behind the second, which is with the thread until it is waited for.
    thread.isOver = (job) => {
      if (isWaited || job > 1) return isWaited && isOver(job);
      while (++asked > 1 && !isOver(job));
      return asked > 1;
    };
    thread.over = async (job) => {
      isWaited = true;
      await over(job);
    };
    const inPiece = Math.floor((512 * 1024) / 5000);
    const files = numbered(3 * inPiece, "d/f", 5000);
    const failing = (letter: string) => fileEntry(`d/${letter.repeat(300)}`, Buffer.alloc(5000));
    files[inPiece + 20] = failing("a");
    files[2 * inPiece + 20] = failing("b");
    const place = await open("turned");
    const layer = await layerOf([directoryEntry("d"), ...files]);
    await expect(place.apply(undefined, layer, { thread })).rejects.toMatchObject({
      details: { entry: expect.stringContaining("d/aaa") as string },
    });
  });

  test("may die in the middle", async () => {
    const [alone, helped] = [await open("living"), await open("dying")];
    const { thread } = await openTestThread();
    const layers = [numbered(900, "f", 5000)];
    const post = thread.post.bind(thread);
    let jobs = 0;
    thread.post = (job) => {
      const number = post(job);
      if (++jobs === 2) void thread.close();
      return number;
    };
    const expected = await outcome(alone, layers);
    expect(await outcome(helped, layers, thread)).toEqual(expected);
    expect(jobs).toBeGreaterThanOrEqual(2);
  });

  test("tells of a full disk as such, and leaves nothing", async (ctx) => {
    const disk = await smallDisk(ctx, 3 * 1024 * 1024);
    const { thread } = await openTestThread();
    const place = await open("full", disk);
    const layer = await layerOf(numbered(900, "f", 5000));
    await expectCode(place.apply(undefined, layer, { thread }), "DISK_FULL");
    expect(readdirSync(place.tmpDir)).toEqual([]);
  });
});
