import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { LayersResult } from "../../src/build/result.ts";
import {
  checksumSelection,
  openDirectoryContext,
  type BuildContext,
} from "../../src/context/index.ts";
import { type DigestJob, runDigestJob } from "../../src/context/digest-job.ts";
import { type JobThread, loadSyscalls, type Syscalls } from "../../src/core/index.ts";
import { rootPath, toRootPath, versionsOf } from "../../src/layer/index.ts";
import { asMade, runWriteJob } from "../../src/snapshot/write-job.ts";
import { type CopyHarness, openCopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import { openTestThread } from "../support/file-thread.ts";
import { smallDisk } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let kernel: Syscalls;
beforeAll(async () => {
  kernel = await loadSyscalls();
});

/** More files than one thread works on alone, with everything among them that a file can be. */
async function wildFolder(files = 900): Promise<string> {
  const folder = await temporaryFolder();
  for (let number = 0; number < files; number++) {
    const directory = join(folder, `d${String(number % 40).padStart(2, "0")}`);
    if (number < 40) mkdirSync(directory);
    const path = join(directory, `f${String(number)}`);
    writeFileSync(path, `${"x".repeat((number * 37) % 9000)}${String(number)}`);
    utimesSync(path, 1_600_000_000 + number, 1_600_000_000 + number + (number % 7) / 8);
    if (number % 50 === 0) chmodSync(path, 0o4755);
    if (number % 60 === 0) kernel.lsetxattr(path, "user.mark", Buffer.from("1"));
    if (number % 70 === 0) linkSync(path, `${path}-second`);
    if (number % 80 === 0) symlinkSync("nowhere", `${path}-link`);
    if (number % 90 === 0) truncateSync(path, 300_000);
    if (number % 110 === 0) truncateSync(path, 0);
    if (number % 120 === 0) execFileSync("mkfifo", [`${path}-fifo`]);
  }
  return folder;
}

/** Whether what lies on the disk is what its digest says. */
async function isIntact({ environment }: CopyHarness, { chainId }: LayersResult) {
  return chainId !== undefined && environment.snapshots.isIntact(chainId);
}

async function checksums(context: BuildContext, thread?: JobThread) {
  return [...(await checksumSelection({ tree: context, paths: [rootPath], thread }))];
}

describe("a second thread changes nothing but the time", () => {
  test("in the digests of a context", async () => {
    const directory = await wildFolder();
    const { thread, kinds } = await openTestThread();
    const alone = await checksums(await openDirectoryContext({ directory }));
    expect(await checksums(await openDirectoryContext({ directory }), thread)).toEqual(alone);
    expect(kinds).toContain("digest");
  });

  test.each([
    {},
    { chown: "1000:2000" },
    { chmod: "0751" },
    { exclude: ["**/f1*"] },
    { parents: true },
  ])("in the layer of a COPY with %j", async (flags) => {
    const directory = await wildFolder();
    const { thread, kinds } = await openTestThread();
    const copy = async (helper?: JobThread) => {
      const from = await openDirectoryContext({ directory });
      const harness = await openCopyHarness({ thread: helper });
      const result = await harness.copy({ from, sources: ["."], destination: "/app", ...flags });
      return { diffIds: result.diffIds, isIntact: await isIntact(harness, result) };
    };
    const alone = await copy();
    expect(alone.isIntact).toBe(true);
    expect(await copy(thread)).toEqual(alone);
    // Where patterns are asked about every file, each is copied by itself.
    expect(kinds.has("write")).toBe(flags.exclude === undefined);
  });

  test("in a COPY onto what is there, of this and of earlier layers", async () => {
    const { thread, kinds } = await openTestThread();
    const [first, second] = [await wildFolder(), await wildFolder(800)];
    mkdirSync(join(second, "d00/f40-second-folder"));
    const copy = async (helper?: JobThread) => {
      const harness = await openCopyHarness({ thread: helper });
      const below = await harness.copy({
        from: await openDirectoryContext({ directory: first }),
        sources: ["d00", "d01"],
        destination: "/app/",
      });
      const result = await harness.copy({
        base: below,
        from: await openDirectoryContext({ directory: first }),
        sources: [".", "d07", "d03", "d05"],
        destination: "/app/",
      });
      return { diffIds: result.diffIds, isIntact: await isIntact(harness, result) };
    };
    const alone = await copy();
    expect(alone.isIntact).toBe(true);
    expect(await copy(thread)).toEqual(alone);
    expect(kinds).toContain("write");
  });

  test("when it dies in the middle", async () => {
    const directory = await wildFolder();
    const { thread } = await openTestThread();
    const from = await openDirectoryContext({ directory });
    const alone = await openCopyHarness();
    const harness = await openCopyHarness({ thread });
    const request = { from, sources: ["."], destination: "/app" };
    // It is ended while it has jobs; these are done again here.
    const post = thread.post.bind(thread);
    let jobs = 0;
    thread.post = (job) => {
      const number = post(job);
      if (++jobs === 2) void thread.close();
      return number;
    };
    const { diffIds } = await harness.copy(request);
    expect(jobs).toBeGreaterThanOrEqual(2);
    expect(diffIds).toEqual((await alone.copy(request)).diffIds);
  });
});

test("a copy that is canceled leaves nothing that is still written to", async () => {
  const directory = await wildFolder();
  const { thread } = await openTestThread();
  const abort = new AbortController();
  const harness = await openCopyHarness({ thread, signal: abort.signal });
  const post = thread.post.bind(thread);
  thread.post = (job) => {
    abort.abort(new Error("canceled by the test"));
    return post(job);
  };
  const from = await openDirectoryContext({ directory });
  await expect(harness.copy({ from, sources: ["."], destination: "/" })).rejects.toThrow(
    "canceled by the test",
  );
  const { tmpDir } = harness.environment.store;
  expect(readdirSync(tmpDir).filter((name) => name.startsWith("snapshot"))).toEqual([]);
});

test("a full disk is told as such, at the file that did not fit", async (ctx) => {
  const directory = await wildFolder();
  const { thread } = await openTestThread();
  const disk = await smallDisk(ctx, 3 * 1024 * 1024);
  const harness = await openCopyHarness({ thread, folder: disk });
  const from = await openDirectoryContext({ directory });
  await expectCode(harness.copy({ from, sources: ["."], destination: "/" }), "DISK_FULL");
  const { tmpDir } = harness.environment.store;
  expect(readdirSync(tmpDir).filter((name) => name.startsWith("snapshot"))).toEqual([]);
});

describe("what the thread is asked for and cannot be done so stays undone", () => {
  const version = (path: string) => {
    const { size, mtimeNs, ctimeNs, ino, dev } = lstatSync(path, { bigint: true });
    return { size, mtimeNs, ctimeNs, inode: ino, device: dev };
  };

  test("digests", async () => {
    const folder = await temporaryFolder();
    const path = (name: string) => join(folder, name);
    for (const name of ["good", "changed", "marked", "shorter", "fifo"])
      writeFileSync(path(name), name);
    mkdirSync(path("real"));
    writeFileSync(path("real/file"), "file");
    symlinkSync("real", path("way"));
    symlinkSync("good", path("link"));
    kernel.lsetxattr(path("marked"), "user.mark", Buffer.from("1"));
    const names = ["good", "changed", "marked", "shorter", "way/file", "link", "fifo", "real"];
    const all = [...names, "missing", "good"];
    const versions = all.map((name) => version(path(name === "missing" ? "good" : name)));
    const sizes = all.map((name) => (name === "missing" ? 4 : lstatSync(path(name)).size));
    writeFileSync(path("changed"), "CHANGED");
    truncateSync(path("shorter"), 2);
    unlinkSync(path("fifo"));
    execFileSync("mkfifo", [path("fifo")]);
    const results = new Uint8Array(all.length * 33);
    runDigestJob({
      kind: "digest",
      paths: all.map(path).join("\0"),
      looks: new Float64Array(sizes.flatMap((size) => [0o644, 0, 0, size])),
      versions: versionsOf(versions),
      results,
    });
    const done = all.map((_, index) => results[index * 33]);
    expect(done).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  test("files", async () => {
    const folder = await temporaryFolder();
    const path = (name: string) => join(folder, name);
    writeFileSync(path("taken"), "as it was");
    const names = ["new", "taken", "missing/file", "last"];
    const marks = new Uint8Array(names.length);
    runWriteJob({
      kind: "write",
      paths: names.map(path).join("\0"),
      numbers: new Float64Array(names.flatMap(() => [1, 3, 0o600, asMade, asMade, 0o640])),
      times: new BigInt64Array(names.map(() => 1_700_000_000_123_456_789n)),
      content: Buffer.from("abcde"),
      marks,
    });
    expect([...marks]).toEqual([1, 0, 0, 1]);
    expect(readdirSync(folder).sort()).toEqual(["last", "new", "taken"]);
    expect(readFileSync(path("taken"), "utf8")).toBe("as it was");
    expect(readFileSync(path("new"), "utf8")).toBe("bcd");
    const { mode, mtimeNs } = lstatSync(path("last"), { bigint: true });
    expect([mode & 0o7777n, mtimeNs]).toEqual([0o640n, 1_700_000_000_123_456_789n]);
  });
});

test("a thread that is closed does first what it was told: in the middle of it, koffi would end this process", async () => {
  const folder = await temporaryFolder();
  for (const name of ["1", "2", "3"]) {
    const { thread } = await openTestThread();
    const marks = new Uint8Array(new SharedArrayBuffer(1));
    thread.post({
      kind: "write",
      paths: join(folder, name),
      numbers: Float64Array.of(0, 1, 0o600, asMade, asMade, asMade),
      times: BigInt64Array.of(0n),
      content: new Uint8Array(new SharedArrayBuffer(1)),
      marks,
    });
    await thread.close();
    expect(marks[0]).toBe(1);
  }
});

test("of files that change in the hands of the thread the first of the list is told", async () => {
  const directory = await wildFolder();
  const { thread } = await openTestThread();
  const post = thread.post.bind(thread);
  const changed: string[] = [];
  thread.post = (job) => {
    // The thread looks at its files after this.
    const paths = (job as DigestJob).paths.split("\0");
    for (const path of [paths.at(-1) ?? "", paths[0] ?? ""]) {
      if (changed.length === 2) break;
      writeFileSync(`${path}.new`, "other");
      renameSync(`${path}.new`, path);
      changed.unshift(path);
    }
    return post(job);
  };
  const error: unknown = await checksums(await openDirectoryContext({ directory }), thread).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({
    code: "CONTEXT_FILE_CHANGED",
    details: { path: changed[0]?.slice(directory.length + 1) },
  });
});

test("what was pinned at another version is not given to the thread", async () => {
  const directory = await temporaryFolder();
  const path = join(directory, "file");
  writeFileSync(path, "1");
  const context = await openDirectoryContext({ directory });
  const stat = await context.lstat(toRootPath("file"));
  if (stat === undefined || context.local === undefined) throw new Error("it is there");
  expect(context.local.placeOf(toRootPath("file"), stat)).toBe(path);
  context.pin({ ...stat.statKey, ctimeNs: 1n });
  expect(context.local.placeOf(toRootPath("file"), stat)).toBeUndefined();
});
