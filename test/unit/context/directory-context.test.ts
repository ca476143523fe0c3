import { createServer } from "node:net";
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDirectoryContext, type BuildContext } from "../../../src/context/index.ts";
import type { PlainFiles } from "../../../src/core/index.ts";
import { pathsOf } from "../../support/plain-files.ts";
import { rewriteFile } from "../../support/rewrite-file.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tsbuild-context-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function put(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

async function listAll(context: BuildContext, path = ""): Promise<string[]> {
  const names = await context.readdir(Buffer.from(path));
  const nested = names.map(async (name) => {
    const below = path === "" ? String(name) : `${path}/${String(name)}`;
    const stat = await context.lstat(Buffer.from(below));
    return stat?.type === "directory" ? [`${below}/`, ...(await listAll(context, below))] : [below];
  });
  return (await Promise.all(nested)).flat();
}

async function read(context: BuildContext, path: string): Promise<string> {
  const file = await context.openFile(Buffer.from(path));
  const buffer = Buffer.alloc(file.size);
  readSync(file.fd, buffer);
  await file.close();
  return buffer.toString();
}

describe("which ignore file counts", () => {
  test("the context's .dockerignore hides paths, and itself may be seen [5.1]", async () => {
    put({ ".dockerignore": "secret\n", secret: "", "a/b": "" });
    const context = await openDirectoryContext({ directory });
    expect(await listAll(context)).toEqual([".dockerignore", "a/", "a/b"]);
    expect(context.ignoredBy(Buffer.from("secret"))).toMatchObject({
      file: ".dockerignore",
      line: 1,
      pattern: "secret",
    });
  });

  test("one beside the Dockerfile replaces it, wherever the Dockerfile lies [5.1]", async () => {
    put({ "ctx/.dockerignore": "a\n", "other/My.dockerignore": "b\n", "ctx/a": "", "ctx/b": "" });
    const context = await openDirectoryContext({
      directory: join(directory, "ctx"),
      dockerfile: join(directory, "other/My"),
    });
    expect(await listAll(context)).toEqual([".dockerignore", "a"]);
  });

  test("a broken one is reported with its line [5.4]", async () => {
    put({ ".dockerignore": "a\n!\n" });
    await expect(openDirectoryContext({ directory })).rejects.toMatchObject({
      code: "CONTEXT_IGNORE_INVALID",
      location: { file: ".dockerignore", line: 2 },
    });
  });
});

test("an excluded directory is there exactly when something below it is not excluded [5.10]", async () => {
  put({
    ".dockerignore": "*\n!src/**/*.ts\n!docs/keep\n",
    "src/a/x.ts": "",
    "src/b/x.js": "",
    "docs/other": "",
    "vendor/deep/file": "",
  });
  const context = await openDirectoryContext({ directory });
  expect(await listAll(context)).toEqual(["src/", "src/a/", "src/a/x.ts"]);
  expect(await context.lstat(Buffer.from("docs"))).toBeUndefined();
  expect(await context.lstat(Buffer.from("src/b/x.js"))).toBeUndefined();
  await expect(context.openFile(Buffer.from("docs/other"))).rejects.toMatchObject({
    code: "CONTEXT_UNREADABLE",
    details: { errno: "ENOENT" },
  });
});

test.each([
  ["a rule that tells the end of names", "**/*.log\n", []],
  ["and one before it that is none", "*.txt\n**/*.log\n", []],
  ["an exception behind it", "**/*.log\n!d/keep.log\n", ["d/keep.log"]],
  ["an exception of nothing", "**/*.log\n!none\n", []],
  ["more ends than are compared one by one", `${ends(12)}**/*.log\n`, []],
])("names that end alike: %s", async (_what, rules, kept) => {
  const names = [".log", "a.log", "a.log.b", "keep.log", "log", "e.log/inside", "\u00e9.log"];
  put(Object.fromEntries(names.flatMap((name) => [name, `d/${name}`]).map((name) => [name, ""])));
  put({ ".dockerignore": rules });
  const context = await openDirectoryContext({ directory });
  const expected = [".dockerignore", "a.log.b", "d/", "d/a.log.b", ...kept, "d/log", "log"];
  // Before the calls to the kernel are there, and with them.
  expect(await listAll(context)).toEqual(expected);
  await context.xattrs(Buffer.from("log"));
  expect(await listAll(context)).toEqual(expected);
  expect(context.hidden(Buffer.from("d")).map(String)).toContain("a.log");
});

function ends(count: number): string {
  return Array.from({ length: count }, (_, n) => `**/*.end${String(n)}\n`).join("");
}

test("owners are 0:0, permission bits and times are the file's [6.10]", async () => {
  put({ file: "12345" });
  chmodSync(join(directory, "file"), 0o4751);
  const context = await openDirectoryContext({ directory });
  const stat = await context.lstat(Buffer.from("file"));
  const { mtimeNs } = lstatSync(join(directory, "file"), { bigint: true });
  expect(stat).toMatchObject({
    type: "file",
    mode: 0o4751,
    uid: 0,
    gid: 0,
    size: 5,
    mtime: mtimeNs,
  });
});

test("hard links are known by one inode", async () => {
  put({ a: "x" });
  linkSync(join(directory, "a"), join(directory, "b"));
  const context = await openDirectoryContext({ directory });
  const [a, b] = [await context.lstat(Buffer.from("a")), await context.lstat(Buffer.from("b"))];
  expect(a).toMatchObject({ nlink: 2, inode: b?.inode });
});

test("symlinks are nodes and never a way out [3.47]", async () => {
  put({ "ctx/file": "inside", "outside/file": "secret" });
  symlinkSync("../outside", join(directory, "ctx/link"));
  const context = await openDirectoryContext({ directory: join(directory, "ctx") });
  expect(await context.lstat(Buffer.from("link"))).toMatchObject({ type: "symlink", size: 0 });
  expect(String(await context.readlink(Buffer.from("link")))).toBe("../outside");
  expect(await context.lstat(Buffer.from("link/file"))).toBeUndefined();
  expect(await context.lstat(Buffer.from("file/below"))).toBeUndefined();
  await expect(context.readdir(Buffer.from("link"))).rejects.toMatchObject({
    code: "CONTEXT_UNREADABLE",
  });
  await expect(context.openFile(Buffer.from("link/file"))).rejects.toMatchObject({
    code: "CONTEXT_UNREADABLE",
  });
});

test("a directory that is exchanged for a symlink after it was looked at is not followed", async () => {
  put({ "ctx/dir/file": "inside", "outside/file": "secret" });
  const context = await openDirectoryContext({ directory: join(directory, "ctx") });
  expect(await read(context, "dir/file")).toBe("inside");
  renameSync(join(directory, "ctx/dir"), join(directory, "ctx/old"));
  symlinkSync("../outside", join(directory, "ctx/dir"));
  await expect(context.openFile(Buffer.from("dir/file"))).rejects.toMatchObject({
    code: "CONTEXT_FILE_CHANGED",
  });
});

test("a file that changed since its digest was taken is not handed out", async () => {
  put({ file: "one" });
  const context = await openDirectoryContext({ directory });
  const path = Buffer.from("file");
  const stat = await context.lstat(path);
  if (stat !== undefined) context.pin(stat.statKey);
  expect(await read(context, "file")).toBe("one");
  rewriteFile(join(directory, "file"), "two");
  await expect(context.openFile(path)).rejects.toMatchObject({ code: "CONTEXT_FILE_CHANGED" });
});

test("many files are told at a time, unless an exception may show one", async () => {
  put({ "d/a": "1", "d/b": "2", "d/c": "3", "d/e/f": "4" });
  const plainIn = async (folder: string): Promise<(from?: number) => string[]> => {
    const context = await openDirectoryContext({ directory });
    const { local } = context;
    await local?.prepare();
    const names = local?.listed(Buffer.from(folder)) ?? [];
    return (start = 0) => {
      const files = local?.plain?.next(Buffer.from(folder), names, start);
      if (files === undefined) throw new Error("a directory has plain files");
      return pathsOf(files).map((path) => relative(directory, path));
    };
  };
  const plain = await plainIn("d");
  expect(plain()).toEqual(["d/a", "d/b", "d/c"]);
  expect(plain(2)).toEqual(["d/c"]);
  writeFileSync(join(directory, ".dockerignore"), "d\n!d/c\n");
  expect((await plainIn("d"))()).toEqual([]);
  writeFileSync(join(directory, ".dockerignore"), "d/a\n");
  expect((await plainIn("d"))()).toEqual(["d/b", "d/c"]);
  symlinkSync("d", join(directory, "way"));
  const { local } = await openDirectoryContext({ directory });
  await local?.prepare();
  expect(local?.plain?.next(Buffer.from("way"), [Buffer.from("b")], 0)).toHaveLength(0);
});

test("many files end before one that is no more as it was counted", async () => {
  put({ a: "1", b: "2", c: "3" });
  const context = await openDirectoryContext({ directory });
  const { local } = context;
  await local?.prepare();
  const names = local?.listed(Buffer.alloc(0)) ?? [];
  const plain = local?.plain;
  const found = (): PlainFiles => {
    const files = plain?.next(Buffer.alloc(0), names, 0);
    if (files === undefined) throw new Error("a directory has plain files");
    return files;
  };
  const stat = await context.lstat(Buffer.from("b"));
  if (stat === undefined) throw new Error("it is there");
  context.pin(stat.statKey);
  expect(found()).toHaveLength(3);
  context.pin({ ...stat.statKey, ctimeNs: 1n });
  const files = found();
  expect(files).toHaveLength(1);
  plain?.counted(files, 0);
  expect(found()).toHaveLength(1);
  files.versions.set(0, { ...files.versions.get(0), ctimeNs: 1n });
  plain?.counted(files, 0);
  expect(found()).toHaveLength(0);
});

test.each(["", "!x\n"])("a listed path that is too long is told, with rules %j", async (rules) => {
  put({ ".dockerignore": rules });
  const names = Array.from({ length: 20 }, () => "n".repeat(250));
  const opened = [openSync(directory, "r")];
  const below = (name: string): string => `/proc/self/fd/${String(opened.at(-1))}/${name}`;
  const context = await openDirectoryContext({ directory });
  try {
    for (const name of names) {
      mkdirSync(below(name));
      opened.push(openSync(below(name), "r"));
    }
    const walk = (path: string): void => {
      const names = context.local?.listed(Buffer.from(path)) ?? [];
      for (let index = 0; index < names.length; index++) {
        const name = String(names.at(index));
        const child = path === "" ? name : `${path}/${name}`;
        if (context.local?.lstatListed(Buffer.from(child))?.type === "directory") walk(child);
      }
    };
    expect(() => {
      walk("");
    }).toThrow(/nnn in the build context: ENAMETOOLONG/);
  } finally {
    for (const name of names) {
      closeSync(opened.pop() ?? -1);
      rmdirSync(below(name));
    }
    closeSync(opened[0] ?? -1);
  }
});

test("what cannot be read is tolerated only when it is excluded [5.15]", async (ctx) => {
  const { seteuid, geteuid } = process;
  if (seteuid === undefined || geteuid?.() !== 0) return ctx.skip("only root can stop being root");
  put({ "shut/in": "x", secret: "s", "open/file": "f" });
  chmodSync(join(directory, "shut"), 0o000);
  chmodSync(join(directory, "secret"), 0o000);
  chmodSync(directory, 0o755);
  const listing = async (ignored: string): Promise<string[]> => {
    writeFileSync(join(directory, ".dockerignore"), ignored);
    const context = await openDirectoryContext({ directory });
    seteuid(65_534);
    try {
      const names = await listAll(context);
      for (const name of names) if (!name.endsWith("/")) await read(context, name);
      return names;
    } finally {
      seteuid(0);
    }
  };
  expect(await listing("shut\nsecret\n.dockerignore\n")).toEqual(["open/", "open/file"]);
  expect(await listing("shut\n!shut/in\nsecret\n.dockerignore\n")).toEqual(["open/", "open/file"]);
  for (const [ignored, path] of [
    ["secret\n", "shut"],
    ["shut\n", "secret"],
  ]) {
    await expect(listing(ignored ?? "")).rejects.toMatchObject({
      code: "CONTEXT_UNREADABLE",
      details: { path, errno: "EACCES" },
    });
  }
});

test("a socket is an empty regular file [3.48]", async () => {
  const server = createServer().listen(join(directory, "socket"));
  try {
    const context = await openDirectoryContext({ directory });
    expect(await context.lstat(Buffer.from("socket"))).toMatchObject({ type: "file", size: 0 });
    expect(await read(context, "socket")).toBe("");
  } finally {
    server.close();
  }
});

test("names are bytes, in byte order", async () => {
  const broken = Buffer.from("caf\xe9", "latin1");
  const names = [Buffer.from("Z"), Buffer.from("a"), broken, Buffer.from("é"), Buffer.from(".x")];
  for (const name of names)
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), name]), "content");
  const context = await openDirectoryContext({ directory });
  expect(await context.readdir(Buffer.alloc(0))).toEqual([...names].sort((a, b) => a.compare(b)));
  expect(await context.lstat(broken)).toMatchObject({ type: "file", size: 7 });
  const file = await context.openFile(broken);
  expect(file.size).toBe(7);
  await file.close();
});

test("the thousandth node is looked at and listed as the first", async () => {
  const names = Array.from({ length: 600 }, (_, n) => `d/${String(n % 7)}/${String(n)}`);
  put({ ".dockerignore": "**/*.log\n", ...Object.fromEntries(names.map((name) => [name, name])) });
  put({ "d/3/gone.log": "", "d/empty/gone.log": "" });
  const context = await openDirectoryContext({ directory });
  const looks = async (): Promise<unknown[]> =>
    Promise.all(
      (await listAll(context)).map(async (path) => {
        const { statKey, inode, ...stat } = (await context.lstat(Buffer.from(path))) ?? {};
        return { path, statKey, inode, ...stat };
      }),
    );
  const first = await looks();
  expect(first.map((node) => (node as { path: string }).path).sort()).toEqual(
    [
      ".dockerignore",
      "d/",
      ...names,
      ...[0, 1, 2, 3, 4, 5, 6, "empty"].map((n) => `d/${n}/`),
    ].sort(),
  );
  expect(await looks()).toEqual(first);
});

test("a directory that is not there, or is a file, cannot be a context", async () => {
  put({ file: "" });
  for (const name of ["nowhere", "file"]) {
    await expect(openDirectoryContext({ directory: join(directory, name) })).rejects.toMatchObject({
      code: "CONTEXT_UNREADABLE",
    });
  }
});
