import { beforeEach, describe, expect, test } from "vitest";
import { openCopyHarness, type CopyHarness } from "../support/copy-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import { directoryEntry, fileEntry, symlinkEntry } from "../support/layer-entries.ts";

let harness: CopyHarness;
beforeEach(async () => {
  harness = await openCopyHarness();
});

const stage = () => [
  directoryEntry("d", { mode: 0o750, uid: 1, gid: 1 }),
  fileEntry("d/plain", "p", { mode: 0o640, uid: 1, gid: 1 }),
  fileEntry("d/tool", "t", { mode: 0o4700, uid: 1, gid: 1 }),
  symlinkEntry("d/link", "plain", { uid: 1, gid: 1 }),
  directoryEntry("d/sub", { mode: 0o2700, uid: 1, gid: 1 }),
];

describe("--chown", () => {
  const accounts = () => [
    fileEntry("etc/passwd", "root:x:5:5::/:\nbob:x:1000:1001::/home/bob:/bin/sh\n42:x:43:44::/:\n"),
    fileEntry("etc/group", "wheel:x:10:\nbob:x:1002:\n"),
  ];

  test.each([
    ["7", "7:7"],
    ["7:8", "7:8"],
    ["bob", "1000:1001"],
    ["bob:wheel", "1000:10"],
    ["bob:bob", "1000:1002"],
    ["bob:", "1000:0"],
    ["9:wheel", "9:10"],
    ["root", "0:0"],
    ["42", "42:42"],
    ["nobody-here", "0:0"],
    ["bob:nobody-here", "1000:1001"],
    ["2147483647:0", "2147483647:0"],
  ])(
    "%s gives everything, also what is made on the way, to %s [3.52, 3.58]",
    async (chown, owner) => {
      const from = await harness.layers(stage());
      const base = await harness.layers(accounts());
      const made = await harness.copy({ base, from, sources: ["d"], destination: "/a/b", chown });
      expect(await harness.layer(made)).toEqual({
        a: `directory 755 ${owner} @0`,
        "a/b": `directory 755 ${owner} @0`,
        "a/b/plain": `file 640 ${owner} @0 p`,
        "a/b/tool": `file 4700 ${owner} @0 t`,
        "a/b/link": `symlink 777 ${owner} @0 -> plain`,
        "a/b/sub": `directory 2700 ${owner} @0`,
      });
    },
  );

  test("takes names for root where there are no accounts [3.58]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["d/tool"], destination: "/t", chown: "bob" });
    expect(await harness.nodes(made)).toEqual({ t: "file 4700 0:0 @0 t" });
  });

  test("leaves existing directories on the way to their owners [3.52]", async () => {
    const from = await harness.layers(stage());
    const base = await harness.layers([directoryEntry("a", { uid: 3 }), directoryEntry("a/b")]);
    const made = await harness.copy({
      base,
      from,
      sources: ["d"],
      destination: "/a/b",
      chown: "7",
    });
    expect(await harness.nodes(made)).toMatchObject({
      a: "directory 755 3:0 @0",
      "a/b": "directory 755 0:0 @0",
      "a/b/plain": "file 640 7:7 @0 p",
    });
  });
});

describe("--chmod", () => {
  test("octal goes over files, directories and what is made on the way, not over links [3.52, 3.59]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({ from, sources: ["d"], destination: "/a/b", chmod: "3705" });
    expect(await harness.nodes(made)).toEqual({
      a: "directory 705 0:0 @0",
      "a/b": "directory 705 0:0 @0",
      "a/b/plain": "file 3705 1:1 @0 p",
      "a/b/tool": "file 3705 1:1 @0 t",
      "a/b/link": "symlink 777 1:1 @0 -> plain",
      "a/b/sub": "directory 3705 1:1 @0",
    });
  });

  test("symbolic is told by each node's own mode; made directories stay 0755 [3.52, 3.59]", async () => {
    const from = await harness.layers(stage());
    const made = await harness.copy({
      from,
      sources: ["d"],
      destination: "/a",
      chmod: "go=rX,g-r",
    });
    expect(await harness.nodes(made)).toEqual({
      a: "directory 755 0:0 @0",
      "a/plain": "file 604 1:1 @0 p",
      "a/tool": "file 4715 1:1 @0 t",
      "a/link": "symlink 777 1:1 @0 -> plain",
      "a/sub": "directory 715 1:1 @0",
    });
  });

  test("that is no mode is an error [3.59]", async () => {
    for (const chmod of ["64a", "10000", "rwx"])
      await expectCode(
        harness.copy({ sources: ["."], destination: "/a", chmod }),
        "BUILD_COPY_MODE_INVALID",
      );
  });
});

describe("--exclude [3.63]", () => {
  const tree = () => [
    fileEntry("d/a.txt", "a"),
    fileEntry("d/keep.md", "k"),
    directoryEntry("d/sub", { mode: 0o700, uid: 5, mtime: 6n }),
    fileEntry("d/sub/a.txt", "a"),
    fileEntry("d/sub/keep.md", "k"),
    fileEntry("d/sub/deep/x", "x"),
    fileEntry("top.txt", "t"),
  ];

  test.each<[string, string[], string[]]>([
    [
      "a name at the top only",
      ["a.txt"],
      ["keep.md", "sub", "sub/a.txt", "sub/deep", "sub/deep/x", "sub/keep.md"],
    ],
    [
      "a name at any depth",
      ["**/*.txt"],
      ["keep.md", "sub", "sub/deep", "sub/deep/x", "sub/keep.md"],
    ],
    ["a directory with all below", ["sub"], ["a.txt", "keep.md"]],
    ["several", ["*.md", "sub/deep"], ["a.txt", "sub", "sub/a.txt", "sub/keep.md"]],
    ["all but", ["**", "!**/x"], ["sub", "sub/deep", "sub/deep/x"]],
    ["the last that matches counts", ["!keep.md", "*"], []],
    [
      "relative to the source, not to the root",
      ["d/a.txt"],
      ["a.txt", "keep.md", "sub", "sub/a.txt", "sub/deep", "sub/deep/x", "sub/keep.md"],
    ],
  ])("%s", async (_, exclude, expected) => {
    const from = await harness.layers(tree());
    const made = await harness.copy({ from, sources: ["d"], destination: "/", exclude });
    expect(Object.keys(await harness.nodes(made))).toEqual(expected);
  });

  test("an exception's directories look like their sources, but existing ones keep their owner", async () => {
    const from = await harness.layers(tree());
    const request = { from, sources: ["d"], destination: "/n", exclude: ["sub", "!sub/deep/x"] };
    const made = await harness.copy(request);
    expect(await harness.nodes(made)).toMatchObject({
      "n/sub": "directory 700 5:0 @6",
      "n/sub/deep/x": "file 644 0:0 @0 x",
    });
    const base = await harness.layers([
      directoryEntry("n/sub", { mode: 0o777, uid: 9, mtime: 10n }),
    ]);
    const merged = await harness.copy({ ...request, base });
    expect((await harness.nodes(merged))["n/sub"]).toBe("directory 700 9:0 @10");
  });

  test("says nothing about a source itself [3.63]", async () => {
    const from = await harness.layers(tree());
    const request = { from, destination: "/n/", exclude: ["top.txt", "*.txt", "**"] };
    const made = await harness.copy({ ...request, sources: ["top.txt", "d/*.txt"] });
    expect(Object.keys(await harness.nodes(made))).toEqual(["n", "n/a.txt", "n/top.txt"]);
  });
});

describe("--parents [3.62]", () => {
  const tree = () => [
    directoryEntry("a", { mode: 0o700, uid: 1, mtime: 11n }),
    directoryEntry("a/b", { mode: 0o710, uid: 2, mtime: 12n }),
    directoryEntry("a/b/c", { mode: 0o711, uid: 3, mtime: 13n }),
    fileEntry("a/b/c/x.txt", "x"),
    fileEntry("a/b/c/y.md", "y"),
    fileEntry("a/b2/c/x.txt", "x2"),
    symlinkEntry("a/link", "b/c"),
  ];
  const copied = async (sources: string[], rest: { exclude?: string[] } = {}) => {
    const from = await harness.layers(tree());
    const made = await harness.copy({
      from,
      sources,
      destination: "/out/",
      parents: true,
      ...rest,
    });
    const nodes = await harness.nodes(made);
    return Object.keys(nodes).map((path) => path.replace(/^out\/?/, ""));
  };

  test("keeps the directories of a path, which look like their sources [3.62]", async () => {
    const from = await harness.layers(tree());
    const request = { from, sources: ["a/b/c/x.txt"], destination: "/out", parents: true };
    expect(await harness.nodes(await harness.copy(request))).toEqual({
      out: "directory 755 0:0 @0",
      "out/a": "directory 700 1:0 @11",
      "out/a/b": "directory 710 2:0 @12",
      "out/a/b/c": "directory 711 3:0 @13",
      "out/a/b/c/x.txt": "file 644 0:0 @0 x",
    });
  });

  test("gives existing directories on the way only the mode", async () => {
    const from = await harness.layers(tree());
    const base = await harness.layers([directoryEntry("a", { uid: 9, mtime: 10n })]);
    const request = { base, from, sources: ["a/b/c/x.txt"], destination: "/", parents: true };
    const nodes = await harness.nodes(await harness.copy(request));
    expect(nodes).toMatchObject({ a: "directory 700 9:0 @10", "a/b": "directory 710 2:0 @12" });
  });

  test.each<[string, string[]]>([
    ["a/b/./c/x.txt", ["", "c", "c/x.txt"]],
    ["a/./b/./c/x.txt", ["", "b", "b/c", "b/c/x.txt"]],
    ["a/b/c/./x.txt", ["", "x.txt"]],
    ["./a/b/c/x.txt", ["", "a", "a/b", "a/b/c", "a/b/c/x.txt"]],
    ["a/b*/./c/x.txt", ["", "c", "c/x.txt"]],
    ["a/./*/c", ["", "b", "b/c", "b/c/x.txt", "b/c/y.md", "b2", "b2/c", "b2/c/x.txt"]],
    ["a/./**/x.txt", ["", "b", "b/c", "b/c/x.txt", "b2", "b2/c", "b2/c/x.txt"]],
    ["a/b/c/./.", ["", "x.txt", "y.md"]],
    ["a/link/./x.txt", ["", "x.txt"]],
    ["a/none*", [""]],
  ])("%s", async (source, expected) => {
    expect(await copied([source])).toEqual(expected);
  });

  test("copies links as links, and keeps apart what several sources name", async () => {
    const from = await harness.layers(tree());
    const sources = ["a/link", "a/b2/./c"];
    const made = await harness.copy({ from, sources, destination: "/", parents: true });
    expect(await harness.nodes(made)).toEqual({
      a: "directory 700 1:0 @11",
      "a/link": "symlink 777 0:0 @0 -> b/c",
      c: "directory 755 0:0 @0",
      "c/x.txt": "file 644 0:0 @0 x2",
    });
  });

  test("takes exclude patterns relative to the pivot", async () => {
    expect(await copied(["a"], { exclude: ["a/b", "a/link"] })).toEqual([
      "",
      "a",
      "a/b2",
      "a/b2/c",
      "a/b2/c/x.txt",
    ]);
    expect(await copied(["a/b/./c"], { exclude: ["c/*.txt"] })).toEqual(["", "c", "c/y.md"]);
    expect(await copied(["a/./**/*.*"], { exclude: ["**/x.txt"] })).toEqual([
      "",
      "b",
      "b/c",
      "b/c/y.md",
    ]);
  });

  test("of something that is not there is an error [3.62]", async () => {
    const from = await harness.layers(tree());
    for (const source of ["a/none", "none/./a", "a/./none"])
      await expectCode(
        harness.copy({ from, sources: [source], destination: "/out/", parents: true }),
        "CONTEXT_SOURCE_NOT_FOUND",
      );
  });
});

describe("wildcards", () => {
  const tree = () => [
    fileEntry("dir1/a", "1"),
    fileEntry("dir1/same", "1"),
    fileEntry("dir2/b", "2"),
    fileEntry("dir2/same", "2"),
    fileEntry("file-b", "fb"),
    fileEntry("file-a", "fa"),
    fileEntry("literal*", "star"),
  ];

  test("merge the contents of the directories that they match; later ones win [3.43, 3.45]", async () => {
    const from = await harness.layers(tree());
    const made = await harness.copy({ from, sources: ["dir*"], destination: "/d/" });
    expect(await harness.nodes(made)).toEqual({
      d: "directory 755 0:0 @0",
      "d/a": "file 644 0:0 @0 1",
      "d/b": "file 644 0:0 @0 2",
      "d/same": "file 644 0:0 @0 2",
    });
  });

  test("match in lexical order [3.43]", async () => {
    const from = await harness.layers(tree());
    const made = await harness.copy({ from, sources: ["file-*"], destination: "/d" });
    expect(await harness.nodes(made)).toEqual({ d: "file 644 0:0 @0 fb" });
  });

  test("that match nothing do nothing, not even make the destination [3.44]", async () => {
    const from = await harness.layers(tree());
    const made = await harness.copy({ from, sources: ["none*", "dir1/[xy]"], destination: "/d/" });
    expect(await harness.nodes(made)).toEqual({});
  });

  test("may be escaped [3.43]", async () => {
    const from = await harness.layers(tree());
    const made = await harness.copy({ from, sources: ["literal\\*"], destination: "/d/" });
    expect(Object.keys(await harness.nodes(made))).toEqual(["d", "d/literal*"]);
  });
});

describe("heredocs", () => {
  test("one becomes the destination, 0644 and root's [3.57]", async () => {
    const sources = [{ name: "EOF", content: "text\n" }];
    const made = await harness.copy({ sources, destination: "/etc/app.conf" });
    expect(await harness.nodes(made)).toEqual({
      etc: "directory 755 0:0 @0",
      "etc/app.conf": "file 644 0:0 @0 text\n",
    });
  });

  test("several go into a directory by their names, after the paths", async () => {
    const from = await harness.layers([fileEntry("EOF", "from the stage"), fileEntry("b", "b")]);
    const sources = [{ name: "EOF", content: "1" }, "EOF", "b", { name: "EOF2", content: "2" }];
    const flags = { chown: "5:6", chmod: "u=rwx,go=r" };
    const made = await harness.copy({ from, sources, destination: "/d/", ...flags });
    expect(await harness.nodes(made)).toEqual({
      d: "directory 755 5:6 @0",
      "d/EOF": "file 744 5:6 @0 1",
      "d/EOF2": "file 744 5:6 @0 2",
      "d/b": "file 744 5:6 @0 b",
    });
  });
});
