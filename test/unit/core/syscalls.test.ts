import {
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
} from "node:fs";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  fileStat,
  type FileVersion,
  FileVersions,
  isDiskFull,
  loadSyscalls,
  losslessText,
  type PlainFiles,
  rlimits,
  syscallErrno,
  syscallError,
  writeFileAtomic,
} from "../../../src/core/index.ts";
import { pathsOf } from "../../support/plain-files.ts";

const kernel = await loadSyscalls();
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-syscalls-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

function errnoOfCall(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return syscallErrno(error);
  }
  return undefined;
}

describe("files", () => {
  test("mkfifo makes a fifo under a name that is not UTF-8", () => {
    const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]);
    kernel.mkfifo(path, 0o600);
    expect(lstatSync(path).isFIFO()).toBe(true);
    expect(errnoOfCall(() => kernel.mkfifo(path, 0o600))).toBe("EEXIST");
  });

  test("a failure tells call, errno and path", () => {
    const path = join(folder, "missing/node");
    expect(() => kernel.mkfifo(path, 0o600)).toThrow(
      expect.objectContaining({
        code: "SYSCALL_FAILED",
        details: { syscall: "mknodat", errno: "ENOENT", path },
      }),
    );
  });

  test("a path with a NUL inside is refused, not cut short", () => {
    expect(errnoOfCall(() => kernel.mkfifo(`${folder}/a\0b`, 0o600))).toBe("EINVAL");
  });

  test.each([1n, 1_700_000_000_123_456_789n, -500_000_001n, -2_000_000_000n])(
    "utimens keeps %s ns, and an absent time",
    async (mtime) => {
      const path = join(folder, "link");
      await symlink("nowhere", path);
      const before = lstatSync(path, { bigint: true }).atimeNs;
      kernel.utimens(path, { mtime });
      const stat = lstatSync(path, { bigint: true });
      expect(stat.mtimeNs).toBe(mtime);
      expect(stat.atimeNs).toBe(before);
    },
  );

  test("openat2 stays beneath its folder and sets close-on-exec", async () => {
    await writeFile(join(folder, "file"), "text");
    await symlink("file", join(folder, "link"));
    const dirfd = openSync(folder, constants.O_DIRECTORY);
    try {
      const resolve = { beneath: true, noSymlinks: true, noMagicLinks: true };
      const open = (path: string): number => kernel.openat2(dirfd, path, { flags: 0, resolve });
      const fd = open("file");
      expect(readFileSync(fd, "utf8")).toBe("text");
      const flags = readFileSync(`/proc/self/fdinfo/${String(fd)}`, "utf8");
      expect(/flags:\s+0?2\d{6}$/m.test(flags)).toBe(true);
      closeSync(fd);
      expect(errnoOfCall(() => open("link"))).toBe("ELOOP");
      expect(errnoOfCall(() => open("../x"))).toBe("EXDEV");
    } finally {
      closeSync(dirfd);
    }
  });

  test("renameat2 exchanges, and refuses to replace when asked", async () => {
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeFile(a, "a");
    await writeFile(b, "b");
    expect(errnoOfCall(() => kernel.renameat2(a, b, "noReplace"))).toBe("EEXIST");
    kernel.renameat2(a, b, "exchange");
    expect(await readFile(a, "utf8")).toBe("b");
  });

  test("linkat names an open file that has no name yet", () => {
    const O_TMPFILE = 0o20200000;
    const fd = openSync(folder, O_TMPFILE | constants.O_RDWR, 0o600);
    kernel.linkat({ fd }, join(folder, "named"));
    expect(lstatSync(join(folder, "named")).ino).toBe(fstatSync(fd).ino);
    closeSync(fd);
  });

  test("linkat does not follow a symlink", async () => {
    await symlink("nowhere", join(folder, "link"));
    kernel.linkat(join(folder, "link"), join(folder, "second"));
    expect(lstatSync(join(folder, "second")).isSymbolicLink()).toBe(true);
    await expect(link(join(folder, "link"), join(folder, "second"))).rejects.toThrow();
  });

  test("syncfs flushes, and tells a bad descriptor", async () => {
    const fd = openSync(folder, "r");
    await kernel.syncfs(fd);
    closeSync(fd);
    await expect(kernel.syncfs(99_999)).rejects.toMatchObject({ details: { errno: "EBADF" } });
  });
});

describe("looking at nodes", () => {
  function asNodeTells(path: string | Buffer) {
    return fileStat(lstatSync(path, { bigint: true }));
  }

  test("is as Node tells it, for every type of node", async () => {
    const long = join(folder, "n".repeat(255));
    await writeFile(long, "content");
    await symlink("nowhere", join(folder, "link"));
    kernel.mkfifo(join(folder, "fifo"), 0o640);
    const odd = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]);
    kernel.mkfifo(odd, 0o600);
    for (const path of [
      long,
      folder,
      join(folder, "link"),
      join(folder, "fifo"),
      odd,
      "/dev/null",
      "/proc/self",
    ]) {
      expect(kernel.lstat(path)).toEqual(asNodeTells(path));
      const bytes = Buffer.from(path).toString("latin1");
      expect(kernel.lstatBytes(bytes)).toEqual(asNodeTells(path));
    }
  });

  test("also where times are before the epoch, and of an open file", () => {
    const path = join(folder, "old");
    const fd = openSync(path, "w");
    try {
      kernel.futimens(fd, { mtime: -1_500_000_001n });
      expect(kernel.lstat(path)).toEqual(asNodeTells(path));
      expect(kernel.lstat(path)?.mtimeNs).toBe(-1_500_000_001n);
      expect(kernel.fstat(fd)).toEqual(kernel.lstat(path));
    } finally {
      closeSync(fd);
    }
  });

  test("finds nothing where nothing is, and fails as Node fails", () => {
    expect(kernel.lstat(join(folder, "missing"))).toBeUndefined();
    expect(errnoOfCall(() => kernel.lstat(join(folder, "n".repeat(256))))).toBe("ENAMETOOLONG");
    expect(errnoOfCall(() => kernel.lstat(`${folder}/a\0b`))).toBe("EINVAL");
    expect(kernel.lstatBytes(join(folder, "missing"))).toBeUndefined();
    expect(errnoOfCall(() => kernel.lstatBytes(join(folder, "n".repeat(256))))).toBe(
      "ENAMETOOLONG",
    );
    expect(errnoOfCall(() => kernel.lstatBytes("n".repeat(5000)))).toBe("ENAMETOOLONG");
    expect(errnoOfCall(() => kernel.lstatBytes(`${folder}/a\0b`))).toBe("EINVAL");
    expect(errnoOfCall(() => kernel.fstat(1_000_000))).toBe("EBADF");
  });

  test("a path with one character a byte is told as text", () => {
    const path = join(folder, "é");
    const bytes = Buffer.from(path).toString("latin1");
    const asText = expect.stringContaining(`${path}: `) as string;
    for (const ask of [kernel.openReal, kernel.listDirectory, kernel.llistxattrBytes])
      expect(() => ask(bytes)).toThrow(expect.objectContaining({ message: asText }) as Error);
  });

  test("names of a large directory, one character a byte", async () => {
    const names = Array.from({ length: 600 }, (_, n) => `${"n".repeat(100)}-${String(n)}`);
    for (const name of names) await writeFile(join(folder, name), "");
    kernel.mkfifo(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x2e])]), 0o600);
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      expect(kernel.listNames(fd).sort()).toEqual([...names, "\u{ff}."].sort());
    } finally {
      closeSync(fd);
    }
    expect(errnoOfCall(() => kernel.listNames(fd))).toBe("EBADF");
  });

  test("names without those that end in certain bytes, whatever their lengths", async () => {
    const stems = Array.from({ length: 24 }, (_, length) => "n".repeat(length));
    const left = [...stems.slice(1), ".lo", "og", "a.log.txt", "a.LOG", ".log\u{ff}", "..."];
    const gone = [...stems.map((stem) => `${stem}.log`), "\u{ff}.log", "a~"];
    for (const name of [...left, ...gone])
      await writeFile(Buffer.from(`${folder}/${name}`, "latin1"), "");
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const without = [".log", "~"].map((end) => Buffer.from(end));
      expect(kernel.listNames(fd, { without }).sort()).toEqual(left.sort());
      expect(kernel.listDirectory(folder, { without }).sort()).toEqual(left.sort());
    } finally {
      closeSync(fd);
    }
  });

  test("a directory and a file by a path that is not UTF-8, to which no symlink may lead", async () => {
    const directory = `${folder}/\u{e9}\u{ff}`;
    await mkdir(Buffer.from(directory, "latin1"));
    await writeFile(Buffer.from(`${directory}/\u{fe}`, "latin1"), "content");
    await symlink(Buffer.from(directory, "latin1"), join(folder, "link"));
    expect(kernel.listDirectory(directory)).toEqual(["\u{fe}"]);
    const fd = kernel.openReal(`${directory}/\u{fe}`);
    try {
      expect(readFileSync(fd, "utf8")).toBe("content");
    } finally {
      closeSync(fd);
    }
    for (const path of ["link", "link/\u{fe}"]) {
      expect(errnoOfCall(() => kernel.listDirectory(join(folder, path)))).toBe("ELOOP");
      expect(errnoOfCall(() => kernel.openReal(join(folder, path)))).toBe("ELOOP");
    }
    expect(errnoOfCall(() => kernel.listDirectory(`${directory}/\u{fe}`))).toBe("ENOTDIR");
    expect(errnoOfCall(() => kernel.openReal(join(folder, "missing")))).toBe("ENOENT");
  });

  test("plain files in a row, as lstat tells of them", async () => {
    const directory = `${folder}/\u{e9}/`;
    await mkdir(Buffer.from(directory, "latin1"));
    const named = (names: readonly string[]): Buffer[] =>
      names.map((name) => Buffer.from(name, "latin1"));
    const path = (name: string): Buffer => Buffer.from(directory + name, "latin1");
    for (const name of ["a", "b", "\u{ff}", "linked"])
      await writeFile(path(name), name.repeat(100));
    await chmod(path("b"), 0o4751);
    await link(path("linked"), path("again"));
    await mkdir(path("folder"));
    await symlink("a", path("link"));
    kernel.mkfifo(path("pipe"), 0o600);
    const look = (
      names: readonly string[],
      { start = 0, most = 9, bytes = 1000, isOneOwner = false } = {},
    ): PlainFiles =>
      kernel.plainFiles(Buffer.from(directory, "latin1"), named(names), {
        start,
        most,
        bytes,
        isOneOwner,
      });
    const found = (...looked: Parameters<typeof look>): readonly string[] =>
      look(...looked).names.map((name) => name.toString("latin1"));
    const names = ["a", "b", "\u{ff}"];
    expect(found(names)).toEqual(names);
    for (const other of ["linked", "folder", "link", "pipe", "missing", "n".repeat(4096)])
      expect(found(["a", other, "b"])).toEqual(["a"]);
    expect(found(names, { start: 1 })).toEqual(["b", "\u{ff}"]);
    expect(found(names, { start: 3 })).toEqual([]);
    expect(found(names, { most: 2 })).toEqual(["a", "b"]);
    expect(found(names, { bytes: 200 })).toEqual(["a", "b"]);
    expect(found(names, { bytes: 199 })).toEqual(["a"]);
    const files = look(names);
    const stat = lstatSync(path("b"), { bigint: true });
    expect(pathsOf(files)[1]).toBe(`${directory}b`);
    expect(files.modes[1]).toBe(0o4751);
    expect(files.sizes[1]).toBe(100);
    expect(BigInt(files.seconds[1] ?? 0) * 1_000_000_000n + BigInt(files.nanoseconds[1] ?? 0)).toBe(
      stat.mtimeNs,
    );
    const { mtimeNs, ctimeNs, ino: inode, dev: device } = stat;
    expect(files.versions.get(1)).toEqual({ size: 100n, mtimeNs, ctimeNs, inode, device });
    for (const [time, isTaken] of [
      [-1n, false],
      [2n ** 33n, false],
      [2n ** 33n - 1n, true],
      [0n, true],
    ] as const) {
      kernel.utimens(path("b"), { mtime: time * 1_000_000_000n });
      expect(found(names), String(time)).toEqual(isTaken ? names : ["a"]);
    }
    chownSync(path("b"), 7, 8);
    expect(found(names)).toEqual(names);
    expect(found(names, { isOneOwner: true })).toEqual(["a"]);
    const others = look(names, { isOneOwner: true, start: 1 });
    expect(others).toMatchObject({ names: named(["b"]), uid: 7, gid: 8 });
    const errno = errnoOfCall(() => kernel.lsetxattr(path("b"), "user.mark", Buffer.from("1")));
    if (errno === undefined) expect(found(names)).toEqual(["a"]);
    else expect(errno).toBe("EOPNOTSUPP");
  });

  test("a plain file is read as a whole, if it is of its version", async () => {
    const file = join(folder, "plain");
    const read = (name: string, length: number, change: Partial<FileVersion> = {}): unknown => {
      const { size, mtimeNs, ctimeNs, ino, dev } = lstatSync(file, { bigint: true });
      const versions = new FileVersions(2);
      versions.set(1, { size, mtimeNs, ctimeNs, inode: ino, device: dev, ...change });
      const content = new Uint8Array(new SharedArrayBuffer(length));
      const expected = { versions: versions.numbers, index: 1 };
      const path = Buffer.from(`${join(folder, name)}\0`);
      return kernel.readPlainFile(path, content, expected) && Buffer.from(content).toString();
    };
    await writeFile(file, "12345");
    await symlink("plain", join(folder, "plain-link"));
    await symlink(".", join(folder, "plain-way"));
    const before = readdirSync("/proc/self/fd").length;
    expect(read("plain", 5)).toBe("12345");
    expect(read("plain", 4)).toBe(false);
    for (const name of ["plain-link", "plain-way/plain", "plain-missing"])
      expect(read(name, 5)).toBe(false);
    expect(read("plain", 6)).toBe(false);
    for (const field of ["size", "mtimeNs", "ctimeNs", "inode", "device"] as const)
      expect(read("plain", 5, { [field]: 1n }), field).toBe(false);
    kernel.utimens(file, { mtime: -5n });
    expect(read("plain", 5)).toBe("12345");
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });

  test("a listing leaves no descriptor open", () => {
    const before = readdirSync("/proc/self/fd").length;
    for (let count = 0; count < 20; count++) kernel.listDirectory(folder);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});

describe("extended attributes", () => {
  test("values are raw bytes; names come back; absent is undefined", async (ctx) => {
    const path = join(folder, "file");
    await writeFile(path, "");
    const value = Buffer.concat([Buffer.from([0, 0xff, 0x80, 10]), Buffer.alloc(1500, "v")]);
    const errno = errnoOfCall(() => kernel.lsetxattr(path, "user.test", value));
    if (errno === "EOPNOTSUPP") ctx.skip("the temporary folder has no user xattrs");
    expect(errno).toBeUndefined();
    expect(kernel.lgetxattr(path, "user.test")).toEqual(value);
    expect(kernel.llistxattr(path)).toContain("user.test");
    kernel.lremovexattr(path, "user.test");
    expect(kernel.lgetxattr(path, "user.test")).toBeUndefined();
  });

  test("names need not be UTF-8", async (ctx) => {
    const path = join(folder, "file");
    await writeFile(path, "");
    const names = ["ff", "fe", "c3a9"].map((hex) =>
      losslessText(Buffer.from(`757365722e${hex}`, "hex")),
    );
    for (const name of names) {
      const errno = errnoOfCall(() => kernel.lsetxattr(path, name, Buffer.from(name)));
      if (errno === "EOPNOTSUPP") ctx.skip("the temporary folder has no user xattrs");
    }
    expect([...kernel.llistxattr(path)].sort()).toEqual([...names].sort());
    for (const name of names) expect(kernel.lgetxattr(path, name)).toEqual(Buffer.from(name));
    kernel.lremovexattr(path, "user.\udcff");
    expect([...kernel.llistxattr(path)].sort()).toEqual(["user.é", "user.\udcfe"]);
  });

  test("the same through a descriptor, with an empty value", async (ctx) => {
    const path = join(folder, "file");
    await writeFile(path, "");
    const fd = openSync(path, "r+");
    try {
      const errno = errnoOfCall(() => kernel.fsetxattr(fd, "user.empty", Buffer.alloc(0)));
      if (errno === "EOPNOTSUPP") ctx.skip("the temporary folder has no user xattrs");
      expect(kernel.fgetxattr(fd, "user.empty")).toEqual(Buffer.alloc(0));
      expect(kernel.flistxattr(fd)).toContain("user.empty");
    } finally {
      closeSync(fd);
    }
  });
});

describe("locks and limits", () => {
  async function openTwice(): Promise<[number, number]> {
    await writeFile(join(folder, "lock"), "");
    return [openSync(join(folder, "lock"), "r"), openSync(join(folder, "lock"), "r")];
  }

  test("shared locks share; an exclusive one waits until the last is gone", async () => {
    const [first, second] = await openTwice();
    expect(await kernel.flock(first, { exclusive: false })).toBe(true);
    expect(await kernel.flock(second, { exclusive: false, nonBlocking: true })).toBe(true);
    expect(await kernel.flock(second, { exclusive: true, nonBlocking: true })).toBe(false);
    const waiting = kernel.flock(second, { exclusive: true });
    kernel.unlock(first);
    expect(await waiting).toBe(true);
    [first, second].forEach(closeSync);
  });

  test("waiting ends with the reason of the signal", async () => {
    const [first, second] = await openTwice();
    await kernel.flock(first, { exclusive: true });
    const abort = new AbortController();
    const waiting = kernel.flock(second, { exclusive: true, signal: abort.signal });
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    [first, second].forEach(closeSync);
  });

  test("prlimit reads, and sets what it read", () => {
    const before = kernel.prlimit(0, rlimits.core);
    expect(before.hard).toBeGreaterThanOrEqual(before.soft);
    expect(kernel.prlimit(0, rlimits.core, before)).toEqual(before);
    const lines = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(lines)?.[1];
    expect(String(kernel.prlimit(0, rlimits.nofile).soft)).toBe(soft);
  });
});

describe("a full disk", () => {
  test.each(["ENOSPC", "EDQUOT"])("%s is DISK_FULL", (errno) => {
    const error = syscallError({ syscall: "mknodat", errno });
    expect(error).toMatchObject({ code: "DISK_FULL" });
    expect(isDiskFull(error)).toBe(true);
    expect(isDiskFull(Object.assign(new Error(errno), { code: errno }))).toBe(true);
  });

  test("other failures are not", () => {
    expect(isDiskFull(syscallError({ syscall: "mknodat", errno: "EPERM" }))).toBe(false);
    expect(isDiskFull(undefined)).toBe(false);
  });
});

describe("writeFileAtomic", () => {
  test("replaces a file and leaves nothing beside it", async () => {
    const path = join(folder, "file");
    await writeFile(path, "old and longer");
    await writeFileAtomic({ path, tmpDir: folder, content: "new", mode: 0o600, durable: true });
    expect(await readFile(path, "utf8")).toBe("new");
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["file"]);
  });

  test("a failure leaves nothing", async () => {
    const path = join(folder, "missing/file");
    await expect(writeFileAtomic({ path, tmpDir: folder, content: "x" })).rejects.toThrow();
    expect(await readdir(folder)).toEqual([]);
  });

  test("a full disk is DISK_FULL with the path", async (ctx) => {
    // /dev/full cannot be a folder; a descriptor of it shows that the mapping is used by the kernel's own errno.
    const full = openSync("/dev/full", "w");
    try {
      const { write } = await import("node:fs");
      const error = await new Promise((resolve) => write(full, "x", resolve));
      if (error === null) ctx.skip("/dev/full takes data here");
      expect(isDiskFull(error)).toBe(true);
    } finally {
      closeSync(full);
    }
  });
});
