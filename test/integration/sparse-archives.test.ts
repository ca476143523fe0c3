import { execFileSync } from "node:child_process";
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { beforeEach, describe, expect, test } from "vitest";
import { openDirectoryContext, openStreamContext } from "../../src/context/index.ts";
import { digestOf, type JobThread } from "../../src/core/index.ts";
import { type MergedTree, openLayer, toRootPath } from "../../src/layer/index.ts";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { startTestThread } from "../support/file-thread.ts";
import { pseudoRandomBytes } from "../support/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const size = 40 * mebibyte + 3;
/** Not where filesystems and writers have their boundaries. */
const data = [0, 4 * mebibyte + 4096, 20 * mebibyte] as const;
const dataLength = 70_000;

let harness: CopyHarness;
let folder: string;
let original: Buffer;
beforeEach(async () => {
  harness = await openCopyHarness();
  folder = await temporaryFolder();
  const source = join(folder, "in");
  await mkdir(source);
  const fd = openSync(join(source, "disk.img"), "wx");
  ftruncateSync(fd, size);
  for (const offset of data) writeSync(fd, pseudoRandomBytes(dataLength), 0, dataLength, offset);
  closeSync(fd);
  original = readFileSync(join(source, "disk.img"));
  await writeFile(join(source, "small"), "beside it");
});

function pack(flags: readonly string[]): Buffer {
  const looks = ["--owner=7", "--group=8", "--mode=0640", "--mtime=@1600000000.5"];
  const input = ["-C", join(folder, "in"), "-c", "disk.img", "small"];
  const tar = execFileSync("tar", ["-S", ...flags, ...looks, ...input], { maxBuffer: mebibyte });
  expect(tar.length).toBeLessThan(mebibyte);
  return tar;
}

/** Ways into the builder: each gives the tree that came of it. */
const doors = {
  layer: async (tar: Buffer) => apply(tar),
  threaded: async (tar: Buffer) => {
    const thread = await startTestThread();
    return apply(tar, thread);
  },
  add: async (tar: Buffer) => {
    const directory = join(folder, "context");
    await mkdir(directory);
    await writeFile(join(directory, "archive"), tar);
    const from = await openDirectoryContext({ directory });
    const request = { from, sources: ["archive"], destination: "/", unpack: true };
    return harness.tree(await harness.copy(request));
  },
  context: async (tar: Buffer) => {
    const options = { folder: join(folder, "files"), label: "the test" };
    const context = await openStreamContext(Readable.from([tar]), options);
    if (context.type !== "tree") throw new Error("the archive was not taken for one");
    const request = { from: context.tree, sources: ["."], destination: "/" };
    return harness.tree(await harness.copy(request));
  },
} as const;

async function apply(tar: Buffer, thread?: JobThread): Promise<MergedTree> {
  const { snapshots } = harness.environment;
  const layer = await openLayer(Readable.from([tar]));
  const { chainId, diffId } = await snapshots.apply(undefined, layer, { thread });
  expect(diffId).toBe(digestOf(tar));
  return snapshots.tree(chainId);
}

describe.each([
  ["gnu", ["--format=gnu"]],
  ["pax 0.0", ["--format=pax", "--sparse-version=0.0"]],
  ["pax 0.1", ["--format=pax", "--sparse-version=0.1"]],
  ["pax 1.0", ["--format=pax", "--sparse-version=1.0"]],
] as const)("a sparse file of GNU tar's format %s", (format, flags) => {
  test.each(["layer", "threaded", "add", "context"] as const)(
    "comes as %s with its content and its holes",
    async (door) => {
      const tree = await doors[door](pack(flags));
      const path = toRootPath("disk.img");
      // Old headers have whole seconds.
      const mtime = 1_600_000_000_000_000_000n + (format === "gnu" ? 0n : 500_000_000n);
      expect(await tree.lstat(path)).toMatchObject({ type: "file", mode: 0o640, size, mtime });
      const opened = await tree.openFile(path);
      const { blocks } = fstatSync(opened.fd);
      const found = readFileSync(`/proc/self/fd/${String(opened.fd)}`);
      await opened.close();
      expect(found.equals(original)).toBe(true);
      // Each region may take a piece more on both sides.
      expect(blocks * 512).toBeLessThan(data.length * (dataLength + 192 * kibibyte));
      expect((await tree.lstat(toRootPath("small")))?.size).toBe("beside it".length);
    },
  );
});
