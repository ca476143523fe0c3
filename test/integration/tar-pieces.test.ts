import { execFileSync } from "node:child_process";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import type { LayersResult } from "../../src/build/result.ts";
import { type BuildContext, openDirectoryContext } from "../../src/context/index.ts";
import { JobThread, loadSyscalls, type Syscalls } from "../../src/core/index.ts";
import {
  contentPlaceSize,
  type FillJob,
  headStands,
  type LayerEntryWithContent,
  runFillJob,
  toRootPath,
  versionsOf,
} from "../../src/layer/index.ts";
import { type PutJob, runPutJob, runSumJob, type SumJob } from "../../src/snapshot/index.ts";
import { type CopyHarness, openCopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import { openTestThread } from "../support/file-thread.ts";
import { smallDisk } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let kernel: Syscalls;
beforeAll(async () => {
  kernel = await loadSyscalls();
});

type Job = FillJob | PutJob | SumJob;

/** Some fifteen pieces of small files, and between them what no other thread reads. */
async function manyFiles(): Promise<string> {
  const folder = await temporaryFolder();
  for (let number = 0; number < 600; number++) {
    const directory = join(folder, `d${String(Math.floor(number / 60))}`);
    if (number % 60 === 0) mkdirSync(directory);
    const path = join(directory, `f${String(number)}`);
    writeFileSync(path, Buffer.alloc((number * 131) % 25_000, `${String(number)} `));
    if (number === 200) kernel.lsetxattr(path, "user.mark", Buffer.from("1"));
    if (number === 250) linkSync(path, `${path}-second`);
    if (number === 300) symlinkSync("nowhere", `${path}-link`);
    if (number === 350) writeFileSync(path, Buffer.alloc(700_000, "medium"));
    if (number === 400) writeFileSync(path, Buffer.alloc(5_000_000, "large"));
    if (number === 450) truncateSync(path, 300_000);
  }
  return folder;
}

/** A layer without attributes stays a tar. */
async function plainFiles(): Promise<string> {
  const folder = await manyFiles();
  kernel.lremovexattr(join(folder, "d3/f200"), "user.mark");
  return folder;
}

/** Two layers: a directory of one of them, whose files have several owners, and one in which both have a part. */
function stage(): readonly (readonly LayerEntryWithContent[])[] {
  const file = (
    path: string,
    looks: Partial<LayerEntryWithContent> = {},
  ): LayerEntryWithContent => {
    const content = Buffer.from(path.repeat(200));
    return {
      path: toRootPath(path),
      type: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 1_000_000_001n,
      size: content.length,
      read: () => content,
      ...looks,
    };
  };
  const directory = (path: string): LayerEntryWithContent => ({
    path: toRootPath(path),
    type: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: 7n,
    size: 0,
  });
  const lower = Array.from({ length: 400 }, (_, number) =>
    file(`one/f${String(1000 + number)}`, {
      uid: Math.floor(number / 30),
      gid: number % 90 === 0 ? 70_000 : 5,
      mode: 0o600 + (number % 8),
    }),
  );
  return [
    [
      directory("both"),
      file("both/hidden"),
      file("both/low"),
      directory("one"),
      ...lower,
      file("one/\u00e9", { uid: 3 }),
    ],
    [
      directory("both"),
      file("both/.wh.hidden", { size: 0, read: () => Buffer.alloc(0) }),
      file("both/up", { gid: 4 }),
    ],
  ];
}

const wanted = { sources: ["."], destination: "/app" };

async function copyAsTar(
  harness: CopyHarness,
  from: BuildContext | LayersResult,
): Promise<{ readonly diffIds: LayersResult["diffIds"]; readonly isIntact: boolean }> {
  const { diffIds, chainId } = await harness.copyAsTar({ from, ...wanted });
  const { snapshots } = harness.environment;
  return {
    diffIds,
    isIntact: chainId !== undefined && (await snapshots.isIntact(chainId)) === true,
  };
}

async function expectSame(directory: string, thread: JobThread): Promise<void> {
  const from = await openDirectoryContext({ directory });
  const alone = await (await openCopyHarness()).copy({ from, ...wanted });
  const found = await copyAsTar(await openCopyHarness({ thread }), from);
  expect(found).toEqual({ diffIds: alone.diffIds, isIntact: true });
  // Its files were counted by now, and are no longer when it is opened again.
  const again = await openDirectoryContext({ directory });
  const counting = await openCopyHarness({ thread });
  const counted = await counting.copyCounting({ from: again, ...wanted });
  expect(counted?.diffIds).toEqual(alone.diffIds);
}

function expectNothingLeft({ environment }: CopyHarness): void {
  const names = readdirSync(environment.store.tmpDir);
  expect(names.filter((name) => name.startsWith("snapshot"))).toEqual([]);
}

/** Does something about a job before the thread gets it. */
function beforeEach(thread: JobThread, look: (job: Job, count: number) => void): void {
  const post = thread.post.bind(thread);
  let count = 0;
  thread.post = (job) => {
    look(job as Job, ++count);
    return post(job);
  };
}

/**
 * Stands for a slow thread: it begins with a job only when somebody waits for it, and takes no digests of single files. Tells of
 * each part whether it was written.
 */
function lazyThread(): { readonly thread: JobThread; readonly written: boolean[] } {
  const jobs: Job[] = [];
  const written: boolean[] = [];
  let over = 0;
  const run = (job: Job | undefined): void => {
    if (job?.kind === "put") {
      runPutJob(job);
      written.push(job.done[0] === 1);
    } else if (job?.kind === "sum") runSumJob(job);
    else if (job?.kind === "fill") runFillJob(job);
  };
  const thread = Object.assign(new JobThread("/nonexistent.js"), {
    start: () => undefined,
    post: (job: object) => jobs.push(job as Job),
    isOver: (job: number) => job <= over,
    over: async (job: number) => {
      while (over < job) run(jobs[over++]);
      return Promise.resolve();
    },
  });
  Object.defineProperty(thread, "isReady", { value: true });
  return { thread, written };
}

describe("a layer that is written as a tar with a second thread", () => {
  test("is the same to the byte", async () => {
    const { thread, kinds } = await openTestThread();
    await expectSame(await plainFiles(), thread);
    expect(kinds).toEqual(new Set(["digest", "fill", "put", "sum"]));
  });

  test("is the same of a stage, whosever its files are", async () => {
    const { thread, kinds } = await openTestThread();
    const counting = await openCopyHarness({ thread });
    const from = await counting.layers(...stage());
    const alone = await openCopyHarness();
    const { diffIds } = await alone.copy({ from: await alone.layers(...stage()), ...wanted });
    expect((await counting.copyCounting({ from, ...wanted }))?.diffIds).toEqual(diffIds);
    expect(kinds).toContain("fill");
    expect(await copyAsTar(counting, from)).toEqual({ diffIds, isIntact: true });
  });

  test("is the same when files have to be made of it after all", async () => {
    const { thread, kinds } = await openTestThread();
    await expectSame(await manyFiles(), thread);
    expect(kinds).toContain("fill");
  });

  test("is the same when the thread can neither read nor write", async () => {
    const { thread } = await openTestThread();
    beforeEach(thread, (job) => {
      if (job.kind !== "fill") Object.assign(job, { fd: -1 });
      else Object.assign(job, { paths: Buffer.from(job.paths).fill("?") });
    });
    await expectSame(await plainFiles(), thread);
  });

  test("is not in the thread's hands any more when its descriptor is closed", async () => {
    const { thread, written } = lazyThread();
    await expectSame(await plainFiles(), thread);
    expect(written.length).toBeGreaterThan(1);
    expect(written).not.toContain(false);
  });

  test("takes a few pieces of memory, however many its files are", async () => {
    const folder = await temporaryFolder();
    for (let number = 0; number < 700; number++) {
      const path = join(folder, `f${String(number)}`);
      writeFileSync(path, "");
      // A piece for its header, and one for its content.
      if (number >= 500) truncateSync(path, contentPlaceSize);
    }
    const { thread } = await openTestThread();
    const memory = new Set<ArrayBufferLike>();
    beforeEach(thread, (job) => {
      if (job.kind !== "sum") memory.add(job.bytes.buffer);
    });
    const from = await openDirectoryContext({ directory: folder });
    await copyAsTar(await openCopyHarness({ thread }), from);
    expect(memory.size).toBeLessThan(8);
    memory.clear();
    const again = await openDirectoryContext({ directory: folder });
    await (await openCopyHarness({ thread })).copyCounting({ from: again, ...wanted });
    expect(memory.size).toBeLessThan(8);
  });

  test("is the same when the thread has lost the digest of the tar", async () => {
    const { thread } = await openTestThread();
    let sums = 0;
    beforeEach(thread, (job) => {
      if (job.kind === "sum") sums++;
      // What it would have to read for it cannot be read.
      if (job.kind === "sum") Object.assign(job, { fd: -1, tar: -1 });
    });
    await expectSame(await plainFiles(), thread);
    expect(sums).toBe(2);
  });

  test("is given up when the thread dies while a head stands in the tar", async () => {
    const { thread } = lazyThread();
    const from = await openDirectoryContext({ directory: await plainFiles() });
    let died = 0;
    beforeEach(thread, (job) => {
      if (job.kind !== "fill" || ++died !== 2) return;
      const { done } = job;
      // It leaves this, and nothing else is done of its job.
      Object.assign(job, { done: new Int32Array(1) });
      queueMicrotask(() => (done[0] = headStands));
    });
    const harness = await openCopyHarness({ thread });
    const copied = harness.copyCounting({ from, ...wanted });
    await expect(copied).rejects.toThrow("died in the midst of a digest");
    expectNothingLeft(harness);
  });

  test("is the same when the thread dies in the middle", async () => {
    const { thread } = await openTestThread();
    let jobs = 0;
    beforeEach(thread, (_job, count) => {
      jobs = count;
      if (count === 5) void thread.close();
    });
    await expectSame(await plainFiles(), thread);
    expect(jobs).toBeGreaterThanOrEqual(5);
  });
});

describe.each([
  { way: "was counted", isCounted: false },
  { way: "is counted on the way", isCounted: true },
])("a tar of what $way that cannot be finished leaves nothing, and says why:", ({ isCounted }) => {
  const look = async (about: (path: string) => void): Promise<void> => {
    const directory = await plainFiles();
    const { thread } = await openTestThread();
    const touched: string[] = [];
    beforeEach(thread, (job) => {
      if (job.kind !== "fill" || touched.length > 0) return;
      const paths = Buffer.from(job.paths).toString("latin1").split("\0").slice(0, -1);
      // The last one first: of both, the first one of the tar is told.
      touched.push(paths.at(-1) ?? "", paths[1] ?? "");
      for (const path of touched) about(path);
    });
    const harness = await openCopyHarness({ thread });
    const from = await openDirectoryContext({ directory });
    const copied = isCounted ? harness.copyCounting({ from, ...wanted }) : copyAsTar(harness, from);
    const error: unknown = await copied.catch((thrown: unknown) => thrown);
    const first = touched[1]?.slice(directory.length + 1);
    expect(error).toMatchObject({ details: { path: first } });
    expectNothingLeft(harness);
    throw error;
  };

  test("a file that was exchanged", async () => {
    const exchanged = look((path) => {
      writeFileSync(`${path}.new`, "other");
      renameSync(`${path}.new`, path);
    });
    await expectCode(exchanged, "CONTEXT_FILE_CHANGED");
  });

  test("a file that was written to and looks as before", async () => {
    const written = look((path) => {
      const { size, mtimeMs } = lstatSync(path);
      writeFileSync(path, Buffer.alloc(size, "?"));
      execFileSync("touch", ["-d", `@${String(mtimeMs / 1000)}`, path]);
    });
    await expectCode(written, "CONTEXT_FILE_CHANGED");
  });

  test("a file that got an attribute", async () => {
    const marked = look((path) => {
      kernel.lsetxattr(path, "user.mark", Buffer.from("1"));
    });
    await expectCode(marked, "CONTEXT_FILE_CHANGED");
  });

  test("a file that is gone", async () => {
    await expectCode(look(unlinkSync), "CONTEXT_UNREADABLE");
  });

  test("a build that is canceled", async () => {
    const { thread } = await openTestThread();
    const abort = new AbortController();
    beforeEach(thread, () => {
      abort.abort(new Error("canceled by the test"));
    });
    const harness = await openCopyHarness({ thread, signal: abort.signal });
    const from = await openDirectoryContext({ directory: await plainFiles() });
    await expect(copyAsTar(harness, from)).rejects.toThrow("canceled by the test");
    expectNothingLeft(harness);
  });

  test("a full disk", async (ctx) => {
    const disk = await smallDisk(ctx, 3 * 1024 * 1024);
    const { thread, kinds } = await openTestThread();
    const harness = await openCopyHarness({ thread, folder: disk });
    const from = await openDirectoryContext({ directory: await plainFiles() });
    await expectCode(copyAsTar(harness, from), "DISK_FULL");
    expect(kinds).toContain("put");
    expectNothingLeft(harness);
  });
});

test("a copy that counts on the way asks the thread for all digests, but of what is no plain file", async () => {
  const { thread } = await openTestThread();
  const heads: string[] = [];
  beforeEach(thread, (job) => {
    if (job.kind === "fill") heads.push(...(job.digests?.heads.split("\0") ?? []));
  });
  const from = await openDirectoryContext({ directory: await plainFiles() });
  const harness = await openCopyHarness({ thread });
  expect(await harness.copyCounting({ from, ...wanted })).toBeDefined();
  expect(heads.length).toBeGreaterThan(100);
  expect(heads).not.toContain("");
});

test("a file is read for a piece only as it was announced", async () => {
  const folder = await temporaryFolder();
  const path = (name: string): string => join(folder, name);
  for (const name of ["good", "changed", "marked", "longer", "fifo"])
    writeFileSync(path(name), "12345");
  mkdirSync(path("real"));
  writeFileSync(path("real/file"), "12345");
  symlinkSync("real", path("way"));
  symlinkSync("good", path("link"));
  const fill = (name: string, change = (): void => undefined): unknown => {
    const { size, mtimeNs, ctimeNs, ino, dev } = lstatSync(path(name), { bigint: true });
    change();
    const bytes = new Uint8Array(new SharedArrayBuffer(16));
    const done = new Int32Array(new SharedArrayBuffer(4));
    const version = { path: path(name), size, mtimeNs, ctimeNs, inode: ino, device: dev };
    runFillJob({
      kind: "fill",
      bytes,
      paths: Buffer.from(`${path(name)}\0`),
      places: Float64Array.of(0, 2, 5, 0),
      versions: versionsOf([version]),
      done,
    });
    return done[0] === 1 ? Buffer.from(bytes.slice(2, 7)).toString() : undefined;
  };
  expect(fill("good")).toBe("12345");
  expect(fill("real/file")).toBe("12345");
  expect(fill("way/file")).toBeUndefined();
  expect(fill("link")).toBeUndefined();
  // Time of a file is counted in ticks of the kernel: up to 10 ms.
  await setTimeout(20);
  const mark = (): void => {
    kernel.lsetxattr(path("marked"), "user.mark", Buffer.from("1"));
  };
  expect(fill("marked", mark)).toBeUndefined();
  const rewrite = (): void => {
    unlinkSync(path("changed"));
    writeFileSync(path("changed"), "54321");
  };
  expect(fill("changed", rewrite)).toBeUndefined();
  const grow = (): void => {
    writeFileSync(path("longer"), "1234567");
  };
  expect(fill("longer", grow)).toBeUndefined();
  const replace = (): void => {
    unlinkSync(path("fifo"));
    execFileSync("mkfifo", [path("fifo")]);
  };
  expect(fill("fifo", replace)).toBeUndefined();
});
