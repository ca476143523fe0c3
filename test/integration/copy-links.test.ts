import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { MergedTree } from "../../src/layer/index.ts";
import { openDirectoryContext } from "../../src/context/index.ts";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import {
  deviceEntry,
  directoryEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "../support/layer-entries.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let harness: CopyHarness;
beforeEach(async () => {
  harness = await openCopyHarness();
});

describe("a source that is a link", () => {
  const stage = () => [
    fileEntry("real/file", "f", { mtime: 5n }),
    symlinkEntry("relative", "real/file"),
    symlinkEntry("absolute", "/real/file"),
    symlinkEntry("chained", "links/first"),
    symlinkEntry("links/first", "../links/second"),
    symlinkEntry("links/second", "/relative"),
    symlinkEntry("outward", "../../../../../real/file"),
    symlinkEntry("directory", "/real"),
    symlinkEntry("dangling", "/nowhere"),
    symlinkEntry("loop", "pool"),
    symlinkEntry("pool", "loop"),
  ];

  test.each(["relative", "absolute", "chained", "outward"])(
    "%s is followed inside the root, and gives the copy its own name [3.46, 3.47]",
    async (source) => {
      const from = await harness.layers(stage());
      const made = await harness.copy({ from, sources: [source], destination: "/d/" });
      expect((await harness.nodes(made))[`d/${source}`]).toBe("file 644 0:0 @5 f");
    },
  );

  test.each(["directory/file", "/directory/../directory/./file"])(
    "may be on the way: %s [3.46]",
    async (source) => {
      const from = await harness.layers(stage());
      const made = await harness.copy({ from, sources: [source], destination: "/d/" });
      expect(Object.keys(await harness.nodes(made))).toEqual(["d", "d/file"]);
    },
  );

  test("to a directory gives the directory's content [3.46]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["directory"], destination: "/d" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["d", "d/file"]);
  });

  test("is followed when a wildcard selects it, too [3.46]", async () => {
    const from = await harness.layers(stage());
    const sources = ["rel*", "abs*"];
    const made = await harness.copy({ from, sources, destination: "/d/" });
    expect(await harness.nodes(made)).toEqual({
      d: "directory 755 0:0 @0",
      "d/relative": "file 644 0:0 @5 f",
      "d/absolute": "file 644 0:0 @5 f",
    });
  });

  test.each(["dangling", "dang*"])("that leads nowhere is an error: %s", async (source) => {
    const from = await harness.layers(stage());
    await expectCode(
      harness.copy({ from, sources: [source], destination: "/d/" }),
      "CONTEXT_SOURCE_NOT_FOUND",
    );
  });

  test("that leads back to itself is an error", async () => {
    const from = await harness.layers(stage());
    await expectCode(
      harness.copy({ from, sources: ["loop"], destination: "/d/" }),
      "LAYER_SYMLINK_LOOP",
    );
  });
});

test("links inside a copied directory stay links, wherever they lead [3.46]", async () => {
  const targets = ["file", "/etc/passwd", "../../../x", "nowhere", "self", "a//b/./c"];
  const from = await harness.layers(
    targets.map((target, index) => symlinkEntry(`d/${String(index)}`, target, { mtime: 3n })),
  );
  const made = await harness.copy({ from, sources: ["d"], destination: "/" });
  expect(await harness.nodes(made)).toEqual(
    Object.fromEntries(
      targets.map((target, index) => [String(index), `symlink 777 0:0 @3 -> ${target}`]),
    ),
  );
});

describe("a destination", () => {
  const stage = () => [fileEntry("f", "new"), fileEntry("dir/g", "g")];

  test.each([
    ["/link/f", "relative", "real/f"],
    ["/link/f", "/absolute", "absolute/f"],
    ["/link/f", "/absolute/../other", "other/f"],
    ["/link/f", "../../../../../../outward", "outward/f"],
    ["/link/f", "chain", "chained/f"],
    ["/link/deep/f", "/missing", "missing/deep/f"],
  ])("%s, where link leads to %s, is %s [3.55]", async (destination, leadsTo, place) => {
    const from = await harness.layers(stage());
    const base = await harness.layers([
      symlinkEntry("relative", "real"),
      directoryEntry("absolute"),
      symlinkEntry("chain", "/chained"),
      symlinkEntry("link", leadsTo),
    ]);
    const made = await harness.copy({ base, from, sources: ["f"], destination });
    expect(Object.keys(await harness.layer(made))).toContain(place);
    expect((await harness.nodes(made))["link"]).toContain(leadsTo);
  });

  test("that is a link to a file: the file is replaced, the link stays [3.55]", async () => {
    const from = await harness.layers(stage());
    const base = await harness.layers([symlinkEntry("link", "etc/old"), fileEntry("etc/old", "o")]);
    const made = await harness.copy({ base, from, sources: ["f"], destination: "/link" });
    expect(await harness.nodes(made)).toMatchObject({
      link: "symlink 777 0:0 @0 -> etc/old",
      "etc/old": "file 644 0:0 @0 new",
    });
  });

  test("that is a link to nothing: what it names is made [3.55]", async () => {
    const from = await harness.layers(stage());
    const base = await harness.layers([symlinkEntry("link", "/made/here")]);
    const made = await harness.copy({ base, from, sources: ["f"], destination: "/link" });
    expect(await harness.layer(made)).toEqual({
      made: "directory 755 0:0 @0",
      "made/here": "file 644 0:0 @0 new",
    });
  });

  test("that is a link to a directory takes a directory's content there [3.55]", async () => {
    const from = await harness.layers(stage());
    const base = await harness.layers([directoryEntry("real"), symlinkEntry("link", "real")]);
    const made = await harness.copy({ base, from, sources: ["dir"], destination: "/link" });
    expect(Object.keys(await harness.layer(made))).toEqual(["real", "real/g"]);
  });

  test("that leads back to itself is an error", async () => {
    const from = await harness.layers(stage());
    const base = await harness.layers([symlinkEntry("a", "b"), symlinkEntry("b", "/a")]);
    for (const destination of ["/a", "/a/f", "/a/"])
      await expectCode(
        harness.copy({ base, from, sources: ["f"], destination }),
        "LAYER_SYMLINK_LOOP",
      );
  });
});

describe("hard links", () => {
  const stage = () => [
    fileEntry("d/a", "same", { mode: 0o600, mtime: 4n }),
    hardlinkEntry("d/b", "d/a"),
    hardlinkEntry("d/sub/c", "d/a"),
    hardlinkEntry("outside", "d/a"),
  ];

  test("inside one copied directory stay hard links [3.48]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["d"], destination: "/n" });
    expect(await harness.nodes(made)).toEqual({
      n: "directory 755 0:0 @0",
      "n/a": "file 600 0:0 @4 same",
      "n/b": "hardlink 600 0:0 @4 -> n/a",
      "n/sub": "directory 755 0:0 @0",
      "n/sub/c": "hardlink 600 0:0 @4 -> n/a",
    });
  });

  test("do so when the first of them is excluded", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["d"], destination: "/n", exclude: ["a"] });
    expect(await harness.nodes(made)).toMatchObject({
      "n/b": "file 600 0:0 @4 same",
      "n/sub/c": "hardlink 600 0:0 @4 -> n/b",
    });
  });

  test("do not connect what two sources put down", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["d/a", "d/b"], destination: "/n/" });
    expect(await harness.nodes(made)).toMatchObject({
      "n/a": "file 600 0:0 @4 same",
      "n/b": "file 600 0:0 @4 same",
    });
  });

  test("take the new owner and mode together", async () => {
    const from = await harness.layers(stage());
    const flags = { chown: "7:8", chmod: "4711" };
    const made = await harness.copy({ from, sources: ["d"], destination: "/n", ...flags });
    expect(await harness.nodes(made)).toMatchObject({
      "n/a": "file 4711 7:8 @4 same",
      "n/b": "hardlink 4711 7:8 @4 -> n/a",
    });
  });

  test("to a file below are cut by a copy onto one of them", async () => {
    const base = await harness.layers([fileEntry("x", "old"), hardlinkEntry("y", "x")]);
    const from = await harness.layers([fileEntry("f", "new")]);
    const made = await harness.copy({ base, from, sources: ["f"], destination: "/x" });
    expect(await harness.nodes(made)).toMatchObject({
      x: "file 644 0:0 @0 new",
      y: "file 644 0:0 @0 old",
    });
  });
});

describe("a hostile image", () => {
  test.each([
    ["/app", "/"],
    ["/app", "/proc/1/root/tmp"],
    ["/app", "/proc/self/cwd"],
    ["/app", "/dev/fd/0"],
  ])("cannot lead %s to %s of the host [3.47, 3.55]", async (link, target) => {
    const from = await harness.layers([fileEntry("d/tsbuild-was-here", "x"), fileEntry("f", "y")]);
    const base = await harness.layers([symlinkEntry(link.slice(1), target)]);
    const made = await harness.copy({ base, from, sources: ["d"], destination: link });
    const place = `${target.slice(1)}/tsbuild-was-here`.replace(/^\//, "");
    expect((await harness.nodes(made))[place]).toBe("file 644 0:0 @0 x");
    for (const folder of ["/", "/tmp", "/dev", process.cwd()])
      expect(readdirSync(folder)).not.toContain("tsbuild-was-here");
  });

  test("cannot climb out to a folder of the host, by a destination or by a source [3.42, 3.47, 3.55]", async () => {
    const outside = await temporaryFolder();
    writeFileSync(join(outside, "secret"), "of the host");
    const up = `${"../".repeat(20)}${outside.slice(1)}`;
    const base = await harness.layers([
      symlinkEntry("app", up),
      symlinkEntry("etc", "/proc/1/root"),
    ]);
    const from = await harness.layers([fileEntry("d/f", "x"), symlinkEntry("up", up)]);
    for (const destination of ["/app", "/app/", "/etc/deep", `/${up}`])
      await harness.copy({ base, from, sources: ["d"], destination });
    for (const path of ["/app/w", "/etc/w", `/${up}/w`]) await harness.workdir(path, { base });
    for (const source of ["up/secret", "up", `${up}/secret`])
      await expectCode(
        harness.copy({ base, from, sources: [source], destination: "/x" }),
        "CONTEXT_SOURCE_NOT_FOUND",
      );
    expect(readdirSync(outside)).toEqual(["secret"]);
  });

  test("cannot hand out files of the host through links to its own accounts", async () => {
    const from = await harness.layers([fileEntry("f")]);
    const base = await harness.layers([
      symlinkEntry("etc", "/proc/1/root/etc"),
      fileEntry("proc/1/root/etc/passwd", "bob:x:77:88::/:/bin/sh\n"),
    ]);
    const made = await harness.copy({
      base,
      from,
      sources: ["f"],
      destination: "/f",
      chown: "bob",
    });
    expect((await harness.nodes(made))["f"]).toBe("file 644 77:88 @0");
  });

  test("cannot make a heredoc of any name leave the layer", async () => {
    const folder = join(tmpdir(), "tsbuild-heredoc");
    mkdirSync(folder, { recursive: true });
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const name = `${"../".repeat(20)}${folder.slice(1)}/x`;
    const made = await harness.copy({ sources: [{ name, content: "x" }], destination: "/d/" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["d", "d/x"]);
    expect(readdirSync(folder)).toEqual([]);
    for (const nameless of ["..", ".", "/", "a/.."])
      await expectCode(
        harness.copy({ sources: [{ name: nameless, content: "x" }], destination: "/d/" }),
        "BUILD_COPY_CONFLICT",
      );
  });
});

test.each([".", ".."])("a tree that lists the name %s cannot lead out by it", async (name) => {
  const stage = await harness.tree(await harness.layers([fileEntry("d/f", "f")]));
  const listed = Buffer.from(name);
  const lying: MergedTree = {
    lstat: async (path) =>
      stage.lstat(path.subarray(-name.length).equals(listed) ? Buffer.from("d/f") : path),
    readdir: () => Promise.resolve([listed]),
    readlink: async (path) => stage.readlink(path),
    openFile: async () => stage.openFile(Buffer.from("d/f")),
    xattrs: () => Promise.resolve(new Map()),
  };
  await expectCode(
    harness.copy({ from: lying, sources: ["d"], destination: "/n/" }),
    "BUILD_UNSUPPORTED",
  );
});

test("what would mean a removal inside a layer is refused", async () => {
  const outside = await temporaryFolder();
  writeFileSync(join(outside, ".wh.etc"), "");
  const from = await openDirectoryContext({ directory: outside });
  for (const sources of [["."], [".wh.etc"]])
    await expectCode(harness.copy({ from, sources, destination: "/d/" }), "BUILD_UNSUPPORTED");
  const made = await harness.copy({ from, sources: [".wh.etc"], destination: "/d" });
  expect(Object.keys(await harness.nodes(made))).toEqual(["d"]);
});

test("devices are made again, with their numbers [3.48]", async () => {
  const numbers = { devMajor: 259, devMinor: 70_000 };
  const from = await harness.layers([
    deviceEntry("d/c", numbers),
    deviceEntry("d/b", { devMajor: 8, devMinor: 1 }, "block-device"),
  ]);
  const made = await harness.copy({ from, sources: ["d"], destination: "/n" });
  expect(await harness.nodes(made)).toMatchObject({
    "n/c": "char-device 644 0:0 @0 259:70000",
    "n/b": "block-device 644 0:0 @0 8:1",
  });
});
