import { spawnSync } from "node:child_process";
import { appendFileSync, fstatSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { openDirectoryContext, type BuildContext } from "../../src/context/index.ts";
import {
  type LayerEntryWithContent,
  type MergedTree,
  type OpenedFile,
  writeLayerTar,
} from "../../src/layer/index.ts";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import {
  deviceEntry,
  directoryEntry,
  fifoEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "../support/layer-entries.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let harness: CopyHarness;
beforeEach(async () => {
  harness = await openCopyHarness();
});

async function tarOf(entries: readonly LayerEntryWithContent[]): Promise<Buffer> {
  return buffer(writeLayerTar(entries));
}

async function contextOf(files: Readonly<Record<string, Buffer>>): Promise<BuildContext> {
  const directory = await temporaryFolder();
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content);
  return openDirectoryContext({ directory });
}

/** `ADD archive destination`, and what it did. */
async function add(
  entries: readonly LayerEntryWithContent[],
  rest: Partial<Parameters<CopyHarness["copy"]>[0]> = {},
): ReturnType<CopyHarness["nodes"]> {
  const from = await contextOf({ archive: await tarOf(entries) });
  const request = { from, sources: ["archive"], destination: "/d", unpack: true, ...rest };
  return harness.nodes(await harness.copy(request));
}

const content = () => [
  directoryEntry("n", { mode: 0o2711, uid: 1, gid: 2, mtime: 3n }),
  fileEntry("n/tool", "t", { mode: 0o4755, uid: 4, gid: 5, mtime: 6_000_000_007n }),
  hardlinkEntry("n/twin", "n/tool", { mode: 0o4755, uid: 4, gid: 5, mtime: 6_000_000_007n }),
  symlinkEntry("n/link", "/absolute/../x", { uid: 8, mtime: 9n }),
  fifoEntry("n/pipe", { mode: 0o600 }),
  deviceEntry("n/null", { devMajor: 1, devMinor: 3 }),
];

test("an archive's entries look as it says, below a directory 0755 of root [3.66]", async () => {
  expect(await add(content(), { chmod: "700" })).toEqual({
    d: "directory 755 0:0 @0",
    "d/n": "directory 2711 1:2 @3",
    "d/n/link": "symlink 777 8:0 @9 -> /absolute/../x",
    "d/n/null": "char-device 644 0:0 @0 1:3",
    "d/n/pipe": "fifo 600 0:0 @0",
    "d/n/tool": "file 4755 4:5 @6000000007 t",
    "d/n/twin": "hardlink 4755 4:5 @6000000007 -> d/n/tool",
  });
});

test("--chown goes over every entry and the new destination, not over directories in between [3.66]", async () => {
  const entries = [...content().slice(0, 4), fileEntry("implied/deep/f", "", { uid: 4 })];
  expect(await add(entries, { chown: "70:80", destination: "/d/e" })).toEqual({
    d: "directory 755 70:80 @0",
    "d/e": "directory 755 70:80 @0",
    "d/e/n": "directory 2711 70:80 @3",
    "d/e/n/link": "symlink 777 70:80 @9 -> /absolute/../x",
    "d/e/n/tool": "file 4755 70:80 @6000000007 t",
    "d/e/n/twin": "hardlink 4755 70:80 @6000000007 -> d/e/n/tool",
    "d/e/implied": "directory 755 0:0 @0",
    "d/e/implied/deep": "directory 755 0:0 @0",
    "d/e/implied/deep/f": "file 644 70:80 @0",
  });
});

describe("what is an archive", () => {
  test("is told by content, plain and compressed, behind links and wildcards [3.65, 3.66]", async () => {
    const tar = await tarOf([fileEntry("inside", "i")]);
    const other = await tarOf([fileEntry("other", "o")]);
    const from = await contextOf({ plain: tar, "a.txt": gzipSync(tar), "b.txt": other });
    for (const [sources, names] of [
      [["plain"], ["d", "d/inside"]],
      [["*.txt"], ["d", "d/inside", "d/other"]],
    ] as const) {
      const made = await harness.copy({ from, sources, destination: "/d", unpack: true });
      expect(Object.keys(await harness.nodes(made))).toEqual(names);
    }
  });

  test.for(["gzip", "bzip2", "xz", "zstd"])(
    "may be compressed by %s; a wildcard unpacks it beside others [3.65, 3.66]",
    async (program, ctx) => {
      const tar = await tarOf([fileEntry("packed/file", "p", { mode: 0o600, uid: 3 })]);
      const packed = compressBy(program, tar);
      if (packed === undefined) return ctx.skip(`${program} is not installed`);
      const from = await contextOf({
        "a.bin": packed,
        "b.bin": await tarOf([fileEntry("b", "b")]),
      });
      const request = { from, sources: ["*.bin"], destination: "/d", unpack: true };
      const nodes = await harness.nodes(await harness.copy({ ...request, chown: "7:8" }));
      expect(nodes["d/packed/file"]).toBe("file 600 7:8 @0 p");
      expect(Object.keys(nodes)).toEqual(["d", "d/b", "d/packed", "d/packed/file"]);
    },
  );

  test("needs the program that reads its compression, and names it [3.65]", async (ctx) => {
    const packed = compressBy("xz", await tarOf(content()));
    if (packed === undefined) return ctx.skip("xz is not installed");
    const from = await contextOf({ archive: packed });
    const path = process.env["PATH"];
    process.env["PATH"] = "";
    try {
      const work = harness.copy({ from, sources: ["archive"], destination: "/d", unpack: true });
      await expect(work).rejects.toMatchObject({
        code: "LAYER_COMPRESSION_UNSUPPORTED",
        message: expect.stringContaining("xz") as string,
        hint: expect.stringContaining("install the program xz") as string,
      });
    } finally {
      process.env["PATH"] = path;
    }
  });

  test("is not told by its name [3.65]", async () => {
    const from = await contextOf({
      "text.tar.gz": Buffer.from("no archive"),
      "empty.tar": Buffer.alloc(0),
      "zeros.tar": Buffer.alloc(10_240),
      "gzip.tgz": gzipSync("no archive either"),
      "broken.tar.gz": gzipSync(await tarOf(content())).subarray(0, 40),
    });
    const made = await harness.copy({ from, sources: ["*"], destination: "/d/", unpack: true });
    expect(Object.keys(await harness.nodes(made))).toEqual([
      "d",
      "d/broken.tar.gz",
      "d/empty.tar",
      "d/gzip.tgz",
      "d/text.tar.gz",
      "d/zeros.tar",
    ]);
  });

  test.each([
    [
      "by a wrong checksum",
      (packed: Buffer) => Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8, 1)]),
    ],
    [
      "by bytes behind its end",
      (packed: Buffer) => Buffer.concat([packed, Buffer.from("garbage")]),
    ],
  ])("that is damaged %s is an error, however small it is", async (_name, damage) => {
    const packed = gzipSync(await tarOf(content()));
    const named = Buffer.concat([packed.subarray(0, 3), Buffer.of(8), packed.subarray(4, 10)]);
    const withName = Buffer.concat([named, Buffer.from("a.tar\0"), packed.subarray(10)]);
    for (const whole of [packed, withName]) {
      const from = await contextOf({ archive: damage(whole) });
      const work = harness.copy({ from, sources: ["archive"], destination: "/d", unpack: true });
      await expectCode(work, "LAYER_COMPRESSION_BROKEN");
    }
  });

  test("that ends in the middle of its entries is an error, and no layer", async () => {
    const tar = await tarOf([fileEntry("a", "x".repeat(5000)), fileEntry("b", "y".repeat(5000))]);
    const from = await contextOf({ archive: tar.subarray(0, 8000) });
    await expectCode(
      harness.copy({ from, sources: ["archive"], destination: "/d", unpack: true }),
      "LAYER_TRUNCATED",
    );
  });

  test("is only a file to COPY [3.65]", async () => {
    const from = await contextOf({ archive: await tarOf(content()) });
    const made = await harness.copy({ from, sources: ["archive"], destination: "/d" });
    expect((await harness.nodes(made))["d"]).toMatch(/^file /);
  });
});

describe("what is in an entry's place", () => {
  const base = () => [
    directoryEntry("d", { mode: 0o700, uid: 9, mtime: 1n }),
    fileEntry("d/was-file", "old"),
    fileEntry("d/was-directory/below", "old"),
    symlinkEntry("d/was-link", "/elsewhere"),
    fileEntry("elsewhere/kept", "k"),
    fileEntry("d/merged/old", "old"),
    hardlinkEntry("d/other-name", "d/was-file"),
  ];

  test("is replaced, whatever it is; directories are merged; the destination stays as it was [3.66]", async () => {
    const entries = [
      directoryEntry("was-file", { mode: 0o701 }),
      fileEntry("was-file/new", "n"),
      fileEntry("was-directory", "n"),
      directoryEntry("was-link"),
      fileEntry("was-link/new", "n"),
      directoryEntry("merged", { mode: 0o702 }),
      fileEntry("merged/new", "n"),
    ];
    const nodes = await add(entries, { base: await harness.layers(base()) });
    expect(nodes).toEqual({
      d: "directory 700 9:0 @1",
      "d/merged": "directory 702 0:0 @0",
      "d/merged/new": "file 644 0:0 @0 n",
      "d/merged/old": "file 644 0:0 @0 old",
      "d/other-name": "file 644 0:0 @0 old",
      "d/was-directory": "file 644 0:0 @0 n",
      "d/was-file": "directory 701 0:0 @0",
      "d/was-file/new": "file 644 0:0 @0 n",
      "d/was-link": "directory 755 0:0 @0",
      "d/was-link/new": "file 644 0:0 @0 n",
      elsewhere: "directory 755 0:0 @0",
      "elsewhere/kept": "file 644 0:0 @0 k",
    });
  });

  test("may be replaced again by the same archive", async () => {
    const entries = [
      fileEntry("a/f", "1"),
      symlinkEntry("a", "b"),
      directoryEntry("b"),
      fileEntry("a/f", "2"),
      directoryEntry("a"),
      fileEntry("a/f", "3"),
    ];
    expect(await add(entries)).toEqual({
      d: "directory 755 0:0 @0",
      "d/a": "directory 755 0:0 @0",
      "d/a/f": "file 644 0:0 @0 3",
      "d/b": "directory 755 0:0 @0",
      "d/b/f": "file 644 0:0 @0 2",
    });
  });

  test("may be a directory that no entry told of [3.66]", async () => {
    const entries = [
      fileEntry("a/x", ""),
      fileEntry("a/b/c/f", "1"),
      symlinkEntry("a/b", "../real"),
      fileEntry("a/b/c/g", "2"),
    ];
    expect(Object.keys(await add(entries))).toEqual([
      ...["d", "d/a", "d/a/b", "d/a/x"],
      ...["d/real", "d/real/c", "d/real/c/g"],
    ]);
  });

  test("on the way to an entry has to be a directory", async () => {
    const on = await harness.layers(base());
    await expectCode(add([fileEntry("was-file/below")], { base: on }), "BUILD_COPY_CONFLICT");
  });

  test("as the destination has to be a directory", async () => {
    const on = await harness.layers(base());
    await expectCode(
      add([fileEntry("x")], { base: on, destination: "/d/was-file" }),
      "BUILD_COPY_CONFLICT",
    );
  });
});

test("a further name takes no attribute from a file, with a new owner neither [3.66]", async () => {
  const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
  const xattrs = new Map([["security.capability", capability]]);
  const told = new Map([["user.told", Buffer.from("1")]]);
  const entries = [
    fileEntry("tool", "t", { mode: 0o755, uid: 5, gid: 6, xattrs }),
    { ...hardlinkEntry("twin", "tool", { mode: 0o4755, uid: 5, gid: 6 }), xattrs: told },
  ];
  const looks = `[security.capability=${capability.toString("hex")}] [user.told=31]`;
  const own = await add(entries);
  expect(own["d/tool"]).toBe(`file 4755 5:6 @0 t ${looks}`);
  const given = await add(entries, { chown: "70:80" });
  expect(given["d/tool"]).toBe(`file 4755 70:80 @0 t ${looks}`);
});

test("a hard link may name a file that the image has already, and gives it its looks", async () => {
  const base = await harness.layers([fileEntry("d/lower", "l", { mode: 0o600, uid: 3 })]);
  const looks = { mode: 0o640, uid: 4, gid: 5, mtime: 6_000_000_000n };
  expect(await add([hardlinkEntry("twin", "lower", looks)], { base })).toEqual({
    d: "directory 755 0:0 @0",
    "d/lower": "file 640 4:5 @6000000000 l",
    "d/twin": "hardlink 640 4:5 @6000000000 -> d/lower",
  });
  await expectCode(add([hardlinkEntry("twin", "nowhere")], { base }), "SNAPSHOT_ENTRY_NOT_FOUND");
});

describe("links on the way", () => {
  test("of the image are followed: an absolute one begins at the destination [3.66]", async () => {
    const base = await harness.layers([directoryEntry("run"), symlinkEntry("var/run", "/run")]);
    const entries = [
      directoryEntry("var/run/act"),
      fileEntry("var/run/act/HEAD", "h"),
      hardlinkEntry("var/run/act/HEAD.link", "var/run/act/HEAD"),
    ];
    expect(await add(entries, { base, destination: "/" })).toMatchObject({
      "run/act/HEAD": "file 644 0:0 @0 h",
      "run/act/HEAD.link": "hardlink 644 0:0 @0 -> run/act/HEAD",
      "var/run": "symlink 777 0:0 @0 -> /run",
    });
    expect(await add(entries, { base, destination: "/elsewhere" })).toMatchObject({
      "elsewhere/var/run/act/HEAD": "file 644 0:0 @0 h",
    });
  });

  test.each(["/etc", "../etc", "../../../../../../etc", "/proc/1/root/etc"])(
    "of the archive cannot leave the destination by %s [3.66]",
    async (target) => {
      const base = await harness.layers([fileEntry("etc/passwd", "image's")]);
      const entries = [symlinkEntry("out", target), fileEntry("out/passwd", "archive's")];
      const nodes = await add(entries, { base });
      expect(nodes["etc/passwd"]).toBe("file 644 0:0 @0 image's");
      const places = Object.keys(nodes).filter((path) => path.endsWith("passwd"));
      expect(places.filter((path) => !path.startsWith("d/"))).toEqual(["etc/passwd"]);
      expect(places).toHaveLength(2);
    },
  );

  test("that lead to each other are an error", async () => {
    const entries = [symlinkEntry("a", "b"), symlinkEntry("b", "a"), fileEntry("a/f")];
    await expectCode(add(entries), "LAYER_SYMLINK_LOOP");
  });
});

describe("a hostile name", () => {
  test.each(["../x", "a/../../x", "/../x"])("%s is refused", async (name) => {
    await expectCode(add([fileEntry("fine"), fileEntry(name)]), "LAYER_PATH_ESCAPES");
    await expectCode(add([hardlinkEntry("fine", name)]), "LAYER_PATH_ESCAPES");
  });

  test.each(["/abs/x", "//abs//x", "./abs/./x", "abs/y/../x"])("%s is below", async (name) => {
    const names = Object.keys(await add([fileEntry(name)]));
    expect(names).toEqual(["d", "d/abs", "d/abs/x"]);
  });

  test("that would mean a removal inside a layer is refused", async () => {
    await expectCode(add([fileEntry("a/.wh.b")]), "BUILD_UNSUPPORTED");
    await expectCode(add([deviceEntry("a/b", { devMajor: 0, devMinor: 0 })]), "BUILD_UNSUPPORTED");
  });
});

/** The same tree; `opened` sees each file that is opened, and may give another in its place. */
function watched(tree: BuildContext, opened: (file: OpenedFile) => OpenedFile): MergedTree {
  return {
    lstat: async (path) => tree.lstat(path),
    readdir: async (path) => tree.readdir(path),
    readlink: async (path) => tree.readlink(path),
    xattrs: async (path) => tree.xattrs(path),
    openFile: async (path) => opened(await tree.openFile(path)),
  };
}

test.each(["whole", "broken"])(
  "a %s archive that is written to while it is unpacked is told as that",
  async (kind) => {
    const tar = await tarOf([fileEntry("first", "1"), fileEntry("second", "2")]);
    const directory = await temporaryFolder();
    const archive = join(directory, "archive");
    writeFileSync(archive, kind === "whole" ? tar : tar.subarray(0, 1200));
    const from = watched(await openDirectoryContext({ directory }), (file) => {
      appendFileSync(archive, "more");
      return file;
    });
    const request = { from, sources: ["archive"], destination: "/d", unpack: true };
    await expectCode(harness.copy(request), "CONTEXT_FILE_CHANGED");
  },
);

test.each(["an archive", "a broken archive", "another file"])(
  "ADD closes %s once, so that no number of another file is closed",
  async (kind) => {
    const tar = await tarOf([fileEntry("inside", "i".repeat(200_000))]);
    const contents: Record<string, Buffer> = {
      "an archive": tar,
      "a broken archive": Buffer.from(tar).fill("x", 512 + 200_192, 512 + 200_192 + 512),
      "another file": Buffer.alloc(200_000, "text"),
    };
    const content = contents[kind];
    if (content === undefined) throw new Error(kind);
    const closed: number[] = [];
    const files: OpenedFile[] = [];
    const from = watched(await contextOf({ archive: content }), (file) => {
      files.push(file);
      return { ...file, close: () => Promise.resolve(void closed.push(file.fd)) };
    });
    const request = { from, sources: ["archive"], destination: "/d", unpack: true };
    await harness.copy(request).catch((error: unknown) => error);
    // A stream that is destroyed closes on another thread.
    await setTimeout(100);
    expect(closed).toEqual(files.map(({ fd }) => fd));
    // Still open, since the `close` that is watched does nothing.
    for (const file of files) fstatSync(file.fd);
    for (const file of files) await file.close();
  },
);

/** undefined where the program is not installed. */
function compressBy(program: string, content: Buffer): Buffer | undefined {
  const { status, stdout } = spawnSync(program, ["-c"], { input: content });
  return status === 0 ? stdout : undefined;
}
