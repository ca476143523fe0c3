import {
  chmodSync,
  lstatSync,
  linkSync,
  mkdirSync,
  readSync,
  closeSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { JobThread, loadSyscalls, openUnseen, type Syscalls } from "../../src/core/index.ts";
import type { HashJob, LayerEntryWithContent } from "../../src/layer/index.ts";
import { digestEntries } from "../../src/snapshot/digest-entries.ts";
import { DirectDisk } from "../../src/snapshot/direct-disk.ts";
import { overlayEntries } from "../../src/snapshot/overlay-diff.ts";
import { StackTree } from "../../src/snapshot/stack-tree.ts";
import { bundleScript } from "../support/bundle-script.ts";
import { expectCode } from "../support/expect-code.ts";
import { openTestThread } from "../support/file-thread.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let kernel: Syscalls;
beforeAll(async () => {
  kernel = await loadSyscalls();
});

const largeFile = "d07/f7";

/** What a command may leave: more names than one thread goes through alone, and everything among them that a name can be. */
async function manyFiles(files = 1300) {
  const folder = await temporaryFolder();
  for (let number = 0; number < files; number++) {
    const directory = join(folder, `d${String(number % 50).padStart(2, "0")}`);
    if (number < 50) mkdirSync(directory);
    const path = join(directory, `f${String(number)}`);
    writeFileSync(path, `${"x".repeat((number * 37) % 9000)}${String(number)}`);
    if (number % 60 === 0) kernel.lsetxattr(path, "user.mark", Buffer.alloc(3000, "m"));
    if (number % 70 === 0) linkSync(path, `${path}-second`);
    if (number % 80 === 0) symlinkSync("nowhere", `${path}-link`);
    if (number % 90 === 0) truncateSync(path, 600_000);
    if (number % 110 === 0) truncateSync(path, 0);
    if (number % 7 === 0) utimesSync(path, 1_600_000_000, 1_600_000_000);
  }
  writeFileSync(join(folder, largeFile), Buffer.alloc(9_000_001, "0123456789abc"));
  const disk = new DirectDisk(kernel, Buffer.from(folder));
  return {
    folder,
    entries: (): Iterable<LayerEntryWithContent> =>
      overlayEntries({ disk, lower: new StackTree([]) }),
  };
}

describe("a second thread that hashes a layer's files", () => {
  test("changes nothing about the layer", async () => {
    const { entries } = await manyFiles();
    const { thread, kinds } = await openTestThread();
    const layer = await digestEntries({ entries, openThread: () => thread });
    expect(layer).toEqual(await digestEntries({ entries }));
    expect(layer.contentSize).toBeGreaterThan(9_000_001);
    expect(kinds).toEqual(new Set(["hash"]));
  });

  test("is not started for a small layer", async () => {
    const { entries } = await manyFiles(900);
    const { thread, kinds } = await openTestThread();
    await digestEntries({ entries, openThread: () => thread });
    expect(kinds).toEqual(new Set());
  });

  test("may never start, and may die in the middle", async () => {
    const { entries } = await manyFiles();
    const expected = await digestEntries({ entries });
    // Node refuses the first one at once, as it does where there may be no more threads.
    for (const script of ["nowhere.js", "/nonexistent.js", await bundleScript("dying-thread")]) {
      const thread = new JobThread(script);
      onTestFinished(async () => thread.close());
      expect(await digestEntries({ entries, openThread: () => thread })).toEqual(expected);
    }
  });

  test("begins anew where a file changed behind the walk", async () => {
    const { folder, entries } = await manyFiles();
    const { thread, kinds } = await openTestThread();
    let isChanged = false;
    const changing = function* () {
      for (const entry of entries()) {
        yield entry;
        if (isChanged || entry.path.toString() !== largeFile) continue;
        isChanged = true;
        truncateSync(join(folder, largeFile), 4_000_000);
      }
    };
    const layer = await digestEntries({ entries: changing, openThread: () => thread });
    expect(kinds).toEqual(new Set(["hash"]));
    expect(layer).toEqual(await digestEntries({ entries }));
  });

  test.for([
    ["shorter", 1],
    ["longer", -1],
  ] as const)("does not hide that a file is %s than it was listed", async ([, more]) => {
    const { entries } = await manyFiles();
    const { thread } = await openTestThread();
    const wrong = function* () {
      for (const entry of entries()) {
        const isWrong = entry.path.toString() === largeFile;
        yield isWrong ? { ...entry, size: entry.size + more } : entry;
      }
    };
    const walk = { entries: wrong, openThread: () => thread };
    await expectCode(digestEntries(walk), "LAYER_SIZE_MISMATCH");
  });

  test("ends with the walk", async () => {
    const { entries } = await manyFiles();
    const { thread } = await openTestThread();
    const signal = AbortSignal.abort(new Error("enough"));
    const walk = { entries, openThread: () => thread, signal };
    await expect(digestEntries(walk)).rejects.toThrow("enough");
  });
});

test("a second thread that hashes is stopped inside of a part", async () => {
  const { entries } = await manyFiles();
  const { thread } = await openTestThread();
  const abort = new AbortController();
  const post = thread.post.bind(thread);
  thread.post = (job) => {
    // Behind it nothing is walked any more.
    if ((job as HashJob).isLast) abort.abort(new Error("enough"));
    return post(job);
  };
  const walk = { entries, openThread: () => thread, signal: abort.signal };
  await expect(digestEntries(walk)).rejects.toThrow("enough");
});

describe("reading without a trace", () => {
  const read = (path: string): void => {
    const fd = openUnseen(Buffer.from(path));
    readSync(fd, Buffer.alloc(1));
    closeSync(fd);
  };

  test("leaves the time of the last access", async () => {
    const path = join(await temporaryFolder(), "file");
    writeFileSync(path, "content");
    utimesSync(path, 1_000_000_000, 1_600_000_000);
    read(path);
    expect(lstatSync(path).atimeMs).toBe(1e12);
  });

  test("is not asked for where it is another's file", async (ctx) => {
    if (process.geteuid?.() !== 0) ctx.skip("only root can be somebody else");
    const folder = await temporaryFolder();
    chmodSync(folder, 0o755);
    const path = join(folder, "file");
    writeFileSync(path, "content", { mode: 0o644 });
    process.seteuid?.(65534);
    try {
      expect(() => read(path)).not.toThrow();
    } finally {
      process.seteuid?.(0);
    }
  });
});
