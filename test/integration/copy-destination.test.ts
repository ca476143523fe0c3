import { beforeEach, describe, expect, test } from "vitest";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { directoryEntry, fileEntry, symlinkEntry } from "../support/layer-entries.ts";
import { expectCode } from "../support/expect-code.ts";

let harness: CopyHarness;
beforeEach(async () => {
  harness = await openCopyHarness();
});

/** A stage with a file, a directory that looks like nothing else, and things in it. */
const stage = () => [
  fileEntry("one", "1", { mode: 0o640, uid: 1, gid: 2, mtime: 1_000_000_001n }),
  fileEntry("two", "2", { mode: 0o600, mtime: 2n }),
  directoryEntry("dir", { mode: 0o2750, uid: 3, gid: 4, mtime: 77n }),
  fileEntry("dir/file", "f", { mode: 0o4755, uid: 5, gid: 6, mtime: 88n }),
  directoryEntry("dir/sub", { mode: 0o1777, uid: 7, gid: 8, mtime: 99n }),
  symlinkEntry("dir/sub/link", "../nowhere", { uid: 9, mtime: 111n }),
];

/** A base with lived-in directories. */
const base = () => [
  directoryEntry("srv", { mode: 0o700, uid: 21, gid: 22, mtime: 500n }),
  fileEntry("srv/old", "old", { uid: 23, mtime: 501n }),
  directoryEntry("srv/sub", { mode: 0o711, uid: 24, mtime: 502n }),
  fileEntry("srv/sub/kept", "kept", { mtime: 503n }),
];

describe("a file", () => {
  test("becomes the destination, with its own looks, below directories 0755 0:0 [3.50, 3.52, 3.57]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["one"], destination: "/a/b/new" });
    expect(await harness.nodes(made)).toEqual({
      a: "directory 755 0:0 @0",
      "a/b": "directory 755 0:0 @0",
      "a/b/new": "file 640 1:2 @1000000001 1",
    });
  });

  test.each(["/srv/", "/srv/.", "/srv"])(
    "goes into the directory %s by its name [3.50]",
    async (to) => {
      const from = await harness.layers(stage());
      const on = await harness.layers(base());
      const made = await harness.copy({ base: on, from, sources: ["one"], destination: to });
      expect(await harness.layer(made)).toEqual({
        srv: "directory 700 21:22 @500",
        "srv/one": "file 640 1:2 @1000000001 1",
      });
    },
  );

  test.each(["/new/", "/new/."])("goes into %s, which is made [3.50]", async (to) => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["one"], destination: to });
    expect(Object.keys(await harness.nodes(made))).toEqual(["new", "new/one"]);
  });

  test("replaces a file or a link of its name, and leaves its directory as it was [3.54, 3.55]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([...base(), symlinkEntry("srv/two", "old")]);
    const once = await harness.copy({ base: on, from, sources: ["one"], destination: "/srv/old" });
    const twice = await harness.copy({ base: once, from, sources: ["two"], destination: "/srv/" });
    expect(await harness.nodes(twice)).toEqual({
      srv: "directory 700 21:22 @500",
      "srv/old": "file 640 1:2 @1000000001 1",
      "srv/two": "file 600 0:0 @2 2",
      "srv/sub": "directory 711 24:0 @502",
      "srv/sub/kept": "file 644 0:0 @503 kept",
    });
  });

  test("does not replace a directory of its name [3.56]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([directoryEntry("srv"), directoryEntry("srv/one")]);
    await expectCode(
      harness.copy({ base: on, from, sources: ["one"], destination: "/srv" }),
      "BUILD_COPY_CONFLICT",
    );
  });

  test("does not go below a file [3.55]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers(base());
    for (const destination of ["/srv/old/", "/srv/old/deeper/x"])
      await expectCode(
        harness.copy({ base: on, from, sources: ["one"], destination }),
        "BUILD_COPY_CONFLICT",
      );
  });
});

describe("several sources", () => {
  test("go into a directory [3.51]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["one", "two"], destination: "/d/" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["d", "d/one", "d/two"]);
  });

  test("overwrite each other where there is no directory and no slash [3.51]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["one", "two"], destination: "/d" });
    expect(await harness.nodes(made)).toEqual({ d: "file 600 0:0 @2 2" });
  });

  test("may be a directory first, which then takes the files", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["dir/sub", "one"], destination: "/d" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["d", "d/link", "d/one"]);
  });

  test("cannot be a file first and then a directory", async () => {
    const from = await harness.layers(stage());
    await expectCode(
      harness.copy({ from, sources: ["one", "dir"], destination: "/d" }),
      "BUILD_COPY_CONFLICT",
    );
  });
});

describe("a directory", () => {
  test.each(["dir", "dir/", "dir/.", "/dir", "../../dir"])(
    "%s gives its content, not itself nor its looks [3.42, 3.45, 3.53]",
    async (source) => {
      const from = await harness.layers(stage());
      const made = await harness.copy({ from, sources: [source], destination: "/new" });
      expect(await harness.nodes(made)).toEqual({
        new: "directory 755 0:0 @0",
        "new/file": "file 4755 5:6 @88 f",
        "new/sub": "directory 1777 7:8 @99",
        "new/sub/link": "symlink 777 9:0 @111 -> ../nowhere",
      });
    },
  );

  test("gives an existing destination only its time, and existing subdirectories all looks [3.53, 3.54]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers(base());
    const made = await harness.copy({ base: on, from, sources: ["dir"], destination: "/srv" });
    expect(await harness.layer(made)).toEqual({
      srv: "directory 700 21:22 @77",
      "srv/file": "file 4755 5:6 @88 f",
      "srv/sub": "directory 1777 7:8 @99",
      "srv/sub/link": "symlink 777 9:0 @111 -> ../nowhere",
    });
    expect(await harness.nodes(made)).toMatchObject({
      "srv/old": "file 644 23:0 @501 old",
      "srv/sub/kept": "file 644 0:0 @503 kept",
    });
  });

  test("copied to the root leaves the root as it was", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([directoryEntry("", { mode: 0o711, uid: 1, mtime: 5n })]);
    const made = await harness.copy({ base: on, from, sources: ["dir"], destination: "/" });
    expect(Object.keys(await harness.layer(made))).toEqual(["file", "sub", "sub/link"]);
  });

  test("that is the whole stage is copied as a whole", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["."], destination: "/all/" });
    const names = (await Promise.all([harness.nodes(from)])).flatMap(Object.keys);
    expect(Object.keys(await harness.nodes(made))).toEqual([
      "all",
      ...names.map((n) => `all/${n}`),
    ]);
  });

  test("does not replace a file, at the top or below [3.56]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([fileEntry("top"), fileEntry("below/sub")]);
    for (const destination of ["/top", "/below"])
      await expectCode(
        harness.copy({ base: on, from, sources: ["dir"], destination }),
        "BUILD_COPY_CONFLICT",
      );
  });

  test("does not follow a link where one of its subdirectories must go [3.55]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([directoryEntry("real"), symlinkEntry("d/sub", "/real")]);
    await expectCode(
      harness.copy({ base: on, from, sources: ["dir"], destination: "/d" }),
      "BUILD_COPY_CONFLICT",
    );
  });

  test("does not replace a directory by a file of its name [3.56]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([directoryEntry("d/file")]);
    await expectCode(
      harness.copy({ base: on, from, sources: ["dir"], destination: "/d" }),
      "BUILD_COPY_CONFLICT",
    );
  });

  test("replaces links by files of their names, and what they led to stays [3.55]", async () => {
    const from = await harness.layers(stage());
    const on = await harness.layers([fileEntry("real", "r"), symlinkEntry("d/file", "/real")]);
    const made = await harness.copy({ base: on, from, sources: ["dir"], destination: "/d" });
    expect(await harness.nodes(made)).toMatchObject({
      real: "file 644 0:0 @0 r",
      "d/file": "file 4755 5:6 @88 f",
    });
  });

  test("that is empty makes its destination [3.53]", async () => {
    const from = await harness.layers([directoryEntry("empty", { mode: 0o700, mtime: 9n })]);
    const made = await harness.copy({ from, sources: ["empty"], destination: "/a/b" });
    expect(await harness.nodes(made)).toEqual({
      a: "directory 755 0:0 @0",
      "a/b": "directory 755 0:0 @0",
    });
  });
});

test("made directories get the time that the build gives to what has none", async () => {
  const dated = await openCopyHarness({ implicitTime: 1_700_000_000_000_000_000n });
  const from = await dated.layers(stage());
  const made = await dated.copy({ from, sources: ["one"], destination: "/d/" });
  expect((await dated.nodes(made))["d"]).toBe("directory 755 0:0 @1700000000000000000");
});

test("something that a lower layer removed is not there", async () => {
  const from = await harness.layers(stage());
  const on = await harness.layers(base(), [fileEntry(".wh.srv")]);
  const made = await harness.copy({ base: on, from, sources: ["dir"], destination: "/srv" });
  expect(await harness.nodes(made)).toEqual({
    srv: "directory 755 0:0 @0",
    "srv/file": "file 4755 5:6 @88 f",
    "srv/sub": "directory 1777 7:8 @99",
    "srv/sub/link": "symlink 777 9:0 @111 -> ../nowhere",
  });
});

test.each([
  ["a file", { sources: ["one"], destination: `/${"n".repeat(256)}` }],
  ["a directory", { sources: ["one"], destination: `/${"n".repeat(256)}/` }],
  ["a path", { sources: ["dir"], destination: `/${"some-folder/".repeat(400)}` }],
  ["a layer of its own", { sources: ["one"], destination: `/${"n".repeat(256)}/x`, link: true }],
])("%s with a name that no disk takes is told as such", async (_, request) => {
  const from = await harness.layers(stage());
  await expectCode(harness.copy({ from, ...request }), "SNAPSHOT_NAME_TOO_LONG");
});
