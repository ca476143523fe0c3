import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  checksumSelection,
  openDirectoryContext,
  openStatCache,
  selectionDigest,
  selectSources,
  type BuildContext,
  type FileDigest,
  type StatCache,
} from "../../../src/context/index.ts";
import { PathIndex } from "../../../src/context/path-index.ts";
import type { LocalTree } from "../../../src/layer/index.ts";
import { loadSyscalls, syscallErrno, type Digest } from "../../../src/core/index.ts";
import { rewriteFile } from "../../support/rewrite-file.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tsbuild-checksum-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function put(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

interface Request {
  readonly exclude?: readonly string[];
  readonly parents?: boolean;
  readonly statCache?: StatCache;
  readonly context?: BuildContext;
}

/** What reads a directory without promises. */
function localOf(context: BuildContext): LocalTree {
  if (context.local === undefined) throw new Error("a directory lies on this machine");
  return context.local;
}

async function checksum(pattern: string, request: Request = {}): Promise<FileDigest[]> {
  const { context, ...rest } = request;
  const tree = context ?? (await openDirectoryContext({ directory }));
  return [
    ...(await checksumSelection({ tree, paths: await selectSources(tree, pattern), ...rest })),
  ];
}

async function digest(pattern: string, request?: Request): Promise<Digest> {
  return selectionDigest(await checksum(pattern, request));
}

async function names(pattern: string, request?: Request): Promise<string[]> {
  return (await checksum(pattern, request)).map((file) => file.path);
}

/** A stat cache in memory that trusts everything, and counts. */
function memoryCache(): StatCache & { readonly hits: () => number; readonly known: () => number } {
  const digests = new Map<string, Uint8Array>();
  const text = (key: object): string => Object.values(key).join("|");
  let hits = 0;
  const noRow = (): never => {
    throw new Error("nothing is counted in rows here");
  };
  return {
    rows: { paths: new PathIndex(), get: noRow, set: noRow },
    get: (key) => {
      const found = digests.get(text(key));
      if (found !== undefined) hits++;
      return found;
    },
    set: ({ key, digest }) => void digests.set(text(key), Uint8Array.from(digest)),
    save: () => Promise.resolve(),
    hits: () => hits,
    known: () => digests.size,
  };
}

describe("what is listed", () => {
  beforeEach(() => put({ "d/b": "", "d/a/x": "", "d/a.c": "", top: "" }));

  test("a file alone, a directory with everything below, in walking order", async () => {
    expect(await names("top")).toEqual(["top"]);
    expect(await names("d")).toEqual(["d", "d/a", "d/a/x", "d/a.c", "d/b"]);
    expect(await names(".")).toEqual([".", "d", "d/a", "d/a/x", "d/a.c", "d/b", "top"]);
    expect(await names("no*")).toEqual([]);
  });

  test("a selected link is followed under its own name, one inside is a link", async () => {
    symlinkSync("d", join(directory, "link"));
    symlinkSync("nowhere", join(directory, "d/dangling"));
    expect(await names("link")).toEqual([
      "link",
      "link/a",
      "link/a/x",
      "link/a.c",
      "link/b",
      "link/dangling",
    ]);
  });

  test("excluded entries are not, but never the source itself [3.63]", async () => {
    expect(await names("d", { exclude: ["a", "b"] })).toEqual(["d", "d/a.c"]);
    expect(await names("d", { exclude: ["a", "!a/x", "d"] })).toEqual([
      "d",
      "d/a/x",
      "d/a.c",
      "d/b",
    ]);
    expect(await names("*", { exclude: ["top"] })).toContain("top");
  });

  test("with parents, directories above count once", async () => {
    expect(await names("d/a*", { parents: true })).toEqual(["d", "d/a", "d/a/x", "d/a.c"]);
  });

  test("names that are not UTF-8 are escaped", async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/d/`), Buffer.from([0xff])]), "");
    expect(await names("d")).toContain("d/\\xff");
  });
});

describe("what changes a digest", () => {
  const file = (): string => join(directory, "d/file");
  const changes: [string, () => void | Promise<void>][] = [
    ["content", () => writeFileSync(file(), "twoo")],
    ["permission bits", () => chmodSync(file(), 0o755)],
    ["permission bits of a directory", () => chmodSync(join(directory, "d"), 0o700)],
    ["another name", () => put({ "d/new": "" })],
    ["a file that goes", () => rmSync(file())],
    [
      "a link's target",
      () => {
        rmSync(join(directory, "d/link"));
        symlinkSync("b", join(directory, "d/link"));
      },
    ],
    [
      "a file that becomes a link with the same text",
      () => {
        rmSync(file());
        symlinkSync("one.", file());
      },
    ],
  ];

  beforeEach(() => {
    put({ "d/file": "one.", "d/big": "x".repeat(3_000_000) });
    symlinkSync("a", join(directory, "d/link"));
    chmodSync(file(), 0o644);
  });

  test.each(changes)("%s does [6.7, 6.8]", async (_what, change) => {
    const before = await digest("d");
    await change();
    expect(await digest("d")).not.toBe(before);
  });

  test("a byte anywhere in a big file does [6.7]", async () => {
    const before = await digest("d/big");
    for (const position of [0, 1_048_576, 2_999_999]) {
      const content = Buffer.alloc(3_000_000, "x");
      content[position] = 0x79;
      writeFileSync(join(directory, "d/big"), content);
      expect(await digest("d/big")).not.toBe(before);
    }
  });

  test("times and siblings outside of the selection do not [6.7, 6.8]", async () => {
    const before = await digest("d");
    utimesSync(file(), 1, 1);
    put({ sibling: "" });
    expect(await digest("d")).toBe(before);
  });

  test("an xattr does, unless it belongs to the host [6.7]", async (ctx) => {
    const syscalls = await loadSyscalls();
    const set = (name: string, value: string): void =>
      syscalls.lsetxattr(file(), name, Buffer.from(value));
    const before = await digest("d");
    try {
      set("user.tsbuild", "1");
    } catch (error) {
      if (syscallErrno(error) === "EOPNOTSUPP") ctx.skip("the filesystem has no xattrs");
      throw error;
    }
    const with1 = await digest("d");
    expect(with1).not.toBe(before);
    set("user.tsbuild", "2");
    expect(await digest("d")).not.toBe(with1);
    syscalls.lremovexattr(file(), "user.tsbuild");
    if (process.getuid?.() === 0) set("security.tsbuild", "label");
    expect(await digest("d")).toBe(before);
  });

  test("an ACL does, since layers keep it", async (ctx) => {
    const syscalls = await loadSyscalls();
    // Of the owner, of one more user, of the group, the mask, of others.
    const acl = (user: number): Buffer =>
      Buffer.from(
        `02000000 01000600ffffffff 02000700${user.toString(16)}000000 04000400ffffffff 10000700ffffffff 20000400ffffffff`.replaceAll(
          " ",
          "",
        ),
        "hex",
      );
    try {
      syscalls.lsetxattr(file(), "system.posix_acl_access", acl(0x21));
    } catch (error) {
      if (syscallErrno(error) === "EOPNOTSUPP") ctx.skip("the filesystem has no ACLs");
      throw error;
    }
    const before = await digest("d");
    // The mode stays as it is.
    syscalls.lsetxattr(file(), "system.posix_acl_access", acl(0x22));
    expect(await digest("d")).not.toBe(before);
  });

  test("a renamed match of a wildcard does, an empty directory is not nothing [6.8]", async () => {
    put({ "w/a1": "same" });
    const before = await digest("w/a*");
    put({ "w/a2": "same" });
    rmSync(join(directory, "w/a1"));
    expect(await digest("w/a*")).not.toBe(before);
    const nothing = await digest("empty*");
    mkdirSync(join(directory, "empty"));
    expect(await digest("empty*")).not.toBe(nothing);
  });
});

describe("the stat cache", () => {
  test("saves every reading, and changes nothing about the result", async () => {
    put({ "d/a": "1", "d/b/c": "2" });
    symlinkSync("a", join(directory, "d/link"));
    const statCache = memoryCache();
    const first = await checksum("d", { statCache });
    expect(statCache.known()).toBe(5);
    const context = await openDirectoryContext({ directory });
    let opened = 0;
    const local = localOf(context);
    const open = local.open.bind(local);
    local.open = (path, stat) => {
      opened++;
      return open(path, stat);
    };
    local.xattrs = () => {
      throw new Error("not asked when everything is known");
    };
    expect(await checksum("d", { statCache, context })).toEqual(first);
    expect([statCache.hits(), opened]).toEqual([5, 0]);
  });

  test("names are the same where it keeps them [6.8]", async () => {
    put({ "d/a": "1", "d/b/c": "2", "d/caf\u00e9/\ufffd": "3", "e/a": "4", f: "5" });
    for (const bytes of ["d/\xff", "d/b/\xc3", "\xe9"])
      writeFileSync(Buffer.from(`${directory}/${bytes}`, "latin1"), bytes);
    symlinkSync("d/b", join(directory, "link"));
    for (const pattern of ["d", "*", "link", ".", "d/b/c"]) {
      const statCache = await openStatCache({
        path: join(directory, "../none"),
        tmpDir: directory,
      });
      const context = await openDirectoryContext({ directory, statCache });
      const kept = await checksum(pattern, { context, statCache });
      expect(kept).toEqual(await checksum(pattern));
      expect(await checksum(pattern, { context, statCache })).toEqual(kept);
    }
  });

  test("a changed file is read again", async () => {
    put({ a: "1" });
    const statCache = memoryCache();
    const first = await digest("a", { statCache });
    rewriteFile(join(directory, "a"), "2");
    expect(await digest("a", { statCache })).not.toBe(first);
  });
});

describe("a file that changes", () => {
  test("while it is read is an error, and no file stays open", async () => {
    put({ a: "1", b: "x".repeat(1_000_000) });
    for (const name of ["a", "b"]) {
      const context = await openDirectoryContext({ directory });
      const local = localOf(context);
      const open = local.open.bind(local);
      local.open = (path, stat) => {
        const file = open(path, stat);
        appendFileSync(join(directory, name), "more");
        return file;
      };
      await expect(checksum(name, { context })).rejects.toMatchObject({
        code: "CONTEXT_FILE_CHANGED",
        details: { path: name },
      });
    }
  });

  test("in the same length while it is read is an error", async () => {
    put({ a: "1", b: "x".repeat(1_000_000) });
    const past = new Date(1_000_000);
    for (const name of ["a", "b"]) {
      const context = await openDirectoryContext({ directory });
      utimesSync(join(directory, name), past, past);
      const local = localOf(context);
      const open = local.open.bind(local);
      local.open = (path, stat) => {
        const file = open(path, stat);
        writeFileSync(join(directory, name), "y".repeat(stat.size));
        return file;
      };
      await expect(checksum(name, { context })).rejects.toMatchObject({
        code: "CONTEXT_FILE_CHANGED",
      });
    }
  });

  test("into a directory, a FIFO or a symlink before it is opened is an error", async () => {
    for (const other of ["directory", "fifo", "symlink"] as const) {
      put({ [other]: "1", outside: "1" });
      const path = join(directory, other);
      const context = await openDirectoryContext({ directory });
      const kernel = await loadSyscalls();
      const local = localOf(context);
      const open = local.open.bind(local);
      local.open = (at, stat) => {
        rmSync(path);
        if (other === "directory") mkdirSync(path);
        else if (other === "fifo") kernel.mkfifo(path, 0o644);
        else symlinkSync("outside", path);
        return open(at, stat);
      };
      await expect(checksum(other, { context })).rejects.toMatchObject({
        code: "CONTEXT_FILE_CHANGED",
      });
    }
  });

  test("after its digest was taken cannot be opened", async () => {
    put({ a: "1" });
    const context = await openDirectoryContext({ directory });
    await checksum("a", { context });
    rewriteFile(join(directory, "a"), "2");
    await expect(context.openFile(Buffer.from("a"))).rejects.toMatchObject({
      code: "CONTEXT_FILE_CHANGED",
    });
  });
});

test("an abort ends it", async () => {
  put({ "d/a": "" });
  await expect(
    checksumSelection({
      tree: await openDirectoryContext({ directory }),
      paths: [Buffer.from("d")],
      signal: AbortSignal.abort(),
    }),
  ).rejects.toMatchObject({ name: "AbortError" });
});

test("a large file is not read to its end when that is canceled", async () => {
  put({ large: "" });
  truncateSync(join(directory, "large"), 1024 ** 3);
  const controller = new AbortController();
  const tree = await openDirectoryContext({ directory });
  const paths = await selectSources(tree, "large");
  const reading = checksumSelection({ tree, paths, signal: controller.signal });
  setImmediate(() => {
    controller.abort(new Error("enough"));
  });
  await expect(reading).rejects.toThrow("enough");
});
