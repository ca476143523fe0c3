import { chmod, mkdir, rename, utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCopyBuild, withoutTime } from "../support/copy-build.ts";
import { writeEntries } from "../support/setup-context.ts";

const place = { file: "Dockerfile", line: 3, column: 1 };

describe("an error", () => {
  const files = { file: "f", "dir/sub/x": "x", "dir/plain": "p", "other/sub": "a file" };
  test.for([
    ["COPY x /y", `failed to calculate checksum of ref context: "/x": not found`],
    [
      "COPY dir/../no/thing /x",
      `failed to calculate checksum of ref context: "/no/thing": not found`,
    ],
    ["COPY no/*.txt /x", `failed to calculate checksum of ref context: "/no": not found`],
    ["ADD nothing /x", `failed to calculate checksum of ref context: "/nothing": not found`],
    ["COPY --from=s /none /x", `failed to calculate checksum of ref stage: "/none": not found`],
    [
      "COPY --parents no/thing /x",
      `failed to calculate checksum of ref context: "/no/thing": not found`,
    ],
  ])(
    "%s is told as not found, with its line [1.11, 3.44, 3.62]",
    async ([instruction, message]) => {
      const { failure } = await openCopyBuild(files);
      const error = await failure(`FROM scratch AS s\nFROM scratch\n${String(instruction)}\n`);
      expect(error).toMatchObject({ code: "CONTEXT_SOURCE_NOT_FOUND", location: place });
      expect(error.message).toContain(message);
      expect(error.hint).toBeTruthy();
    },
  );

  test.for([
    ["COPY dir /top", "cannot copy to non-directory"],
    ["COPY file /top/below", "cannot copy to non-directory"],
    ["COPY file /top/", "cannot copy to non-directory"],
    ["COPY dir /tree", "cannot copy to non-directory"],
    ["COPY dir /linked", "cannot copy to non-directory"],
  ])("%s finds something else where a directory must go [3.55, 3.56]", async ([text, message]) => {
    const { failure } = await openCopyBuild({
      ...files,
      "root/top": "a file",
      "root/tree/sub": "a file",
      "root/linked/sub": { link: "/tree" },
    });
    const error = await failure(`FROM scratch\nCOPY root /\n${String(text)}\n`);
    expect(error).toMatchObject({ code: "BUILD_COPY_CONFLICT", location: place });
    expect(error.message).toContain(message);
  });

  test("a file inside a tree cannot replace a directory [3.56]", async () => {
    const { failure } = await openCopyBuild({ ...files, "root/d/plain/": "" });
    const error = await failure("FROM scratch\nCOPY root /\nCOPY dir /d\n");
    expect(error).toMatchObject({ code: "BUILD_COPY_CONFLICT", location: place });
    expect(error.message).toContain("cannot replace to directory /d/plain with file");
  });
});

describe("sources", () => {
  test("are looked for from the root, whatever WORKDIR is, and .. cannot leave it [3.42]", async () => {
    const { nodes } = await openCopyBuild({ a: "root's", "work/a": "work's" });
    const found = await nodes(
      "FROM scratch\nWORKDIR /work\nCOPY a ./1\nCOPY ./a ./2\nCOPY /a ./3\nCOPY ../../a ./4\n",
    );
    expect(["1", "2", "3", "4"].map((name) => withoutTime(found[`work/${name}`]))).toEqual(
      Array<string>(4).fill("file 644 0:0 root's"),
    );
  });

  test("matched by a wildcard are not searched for more matches [3.43, 3.45]", async () => {
    const { nodes } = await openCopyBuild({ "a1/a2/a3": "deep", "a1/b": "b", "c/a9": "no" });
    expect(Object.keys(await nodes("FROM scratch\nCOPY a* /d/\n"))).toEqual([
      "d",
      "d/a2",
      "d/a2/a3",
      "d/b",
    ]);
  });

  test("in wildcards: one star is one component, two are no more without --parents [3.43]", async () => {
    const { nodes } = await openCopyBuild({ "x/y/deep.js": "", "x/flat.js": "", "top.js": "" });
    const names = async (flags: string): Promise<string[]> =>
      Object.keys(await nodes(`FROM scratch\nCOPY ${flags} /d/\n`)).slice(1);
    expect(await names("x/*.js")).toEqual(["d/flat.js"]);
    expect(await names("x/**/*.js")).toEqual(["d/deep.js"]);
    expect(await names("**/*.js")).toEqual(["d/flat.js"]);
    expect(await names("--parents **/*.js")).toEqual([
      "d/top.js",
      "d/x",
      "d/x/flat.js",
      "d/x/y",
      "d/x/y/deep.js",
    ]);
  });

  test("that are several directories merge, the later winning [3.45]", async () => {
    const { nodes } = await openCopyBuild({ "dir1/same": "1", "dir1/a": "a", "dir2/same": "2" });
    for (const sources of ["dir*", "dir1 dir2", "dir1/ dir2/."]) {
      const found = await nodes(`FROM scratch\nCOPY ${sources} /d/\n`);
      expect(Object.keys(found)).toEqual(["d", "d/a", "d/same"]);
      expect(withoutTime(found["d/same"])).toBe("file 644 0:0 2");
    }
  });

  test("wildcards without a match leave nothing, not even the destination [3.44]", async () => {
    const { build, nodesOf } = await openCopyBuild({ "a/b": "" });
    const built = await build("FROM scratch\nCOPY a/*.none none* /made/\n");
    expect(await nodesOf(built)).toEqual({});
    expect(built.targets[0]?.diffIds).toHaveLength(1);
  });

  test("with --parents and wildcards may be nothing, but the destination is made [3.62]", async () => {
    const { nodes } = await openCopyBuild({ "a/b": "" });
    expect(Object.keys(await nodes("FROM scratch\nCOPY --parents no/*.x /made/\n"))).toEqual([
      "made",
    ]);
  });
});

describe("destinations", () => {
  test("of several sources without a slash are overwritten by each, as long as there is no directory [3.51]", async () => {
    const { nodes } = await openCopyBuild({ a: "a", b: "b" });
    expect(withoutTime((await nodes("FROM scratch\nCOPY a b /x\n"))["x"])).toBe("file 644 0:0 b");
    const inside = await nodes("FROM scratch\nWORKDIR /d\nCOPY a b .\nCOPY a b /d\n");
    expect(Object.keys(inside)).toEqual(["d", "d/a", "d/b"]);
  });

  test("that are missing look like nothing in the source; what is there is kept or changed [3.52, 3.53, 3.54, 3.57]", async () => {
    const { nodes, context } = await openCopyBuild({
      "src/inner/f": "f",
      "old/inner/g": "g",
      "old/untouched": "u",
    });
    await chmod(join(context, "src"), 0o700);
    await chmod(join(context, "src/inner"), 0o711);
    const time = new Date(1_000_000_000_000);
    await utimes(join(context, "src"), time, time);
    const found = await nodes(
      "FROM scratch\nCOPY src /new/place\nCOPY --chown=7:8 --chmod=750 old /there\nCOPY src /there\n",
    );
    const look = (path: string): string | undefined => withoutTime(found[path]);
    expect(look("new")).toBe("directory 755 0:0");
    expect(look("new/place")).toBe("directory 755 0:0");
    expect(look("new/place/inner")).toBe("directory 711 0:0");
    expect(found["there"]).toBe("directory 750 7:8 @1000000000000000000");
    expect(look("there/inner")).toBe("directory 711 0:0");
    expect(look("there/inner/g")).toBe("file 750 7:8 g");
    expect(look("there/untouched")).toBe("file 750 7:8 u");
  });
});

describe("owners and times", () => {
  test("are root's from the context, USER or not, and kept from a stage unless --chown [3.57, 6.10]", async () => {
    const { nodes } = await openCopyBuild({ a: { mode: 0o4755, content: "a" } });
    const found = await nodes(
      [
        "FROM scratch AS s",
        "COPY --chown=3:4 a /a",
        "FROM scratch",
        "USER 9:9",
        "COPY a /context",
        "COPY <<here /here",
        "h",
        "here",
        "COPY --from=s a /stage",
        "COPY --from=s --chown=5:6 a /chown",
        "",
      ].join("\n"),
    );
    expect(
      Object.fromEntries(Object.entries(found).map(([path, line]) => [path, withoutTime(line)])),
    ).toEqual({
      chown: "file 4755 5:6 a",
      context: "file 4755 0:0 a",
      here: "file 644 0:0 h\n",
      stage: "file 4755 3:4 a",
    });
  });

  test("of the first build stay when only times changed since [6.7, 6.9]", async () => {
    const { build, nodesOf, context, harness } = await openCopyBuild({ a: "a" });
    const at = async (seconds: number): Promise<void> =>
      utimes(join(context, "a"), seconds, seconds);
    await at(1_000_000_000);
    await build("FROM scratch\nCOPY a /a\n");
    await at(1_500_000_000);
    const again = await build("FROM scratch\nCOPY a /a\n");
    expect(harness.steps("step-started")).toEqual([]);
    expect((await nodesOf(again))["a"]).toBe("file 644 0:0 @1000000000000000000 a");
  });
});

describe("--exclude", () => {
  test("leaves out what is inside a directory, never the source itself [3.63]", async () => {
    const { nodes } = await openCopyBuild({
      a: "a",
      "d/a": "a",
      "d/keep.md": "k",
      "d/x.md": "x",
      "d/sub/a": "a",
      "d/sub/x.md": "x",
    });
    const found = await nodes(
      "FROM scratch\nCOPY --exclude=a --exclude=**/*.md --exclude=!keep.md * /d/\n",
    );
    expect(Object.keys(found)).toEqual(["d", "d/a", "d/keep.md", "d/sub", "d/sub/a"]);
  });

  test("takes what it leaves out from the key, too [3.63, 6.6]", async () => {
    const { build, context, harness } = await openCopyBuild({ "d/a": "a", "d/b": "b" });
    const dockerfile = "FROM scratch\nCOPY --exclude=b d /d/\n";
    await build(dockerfile);
    await writeEntries(context, { "d/b": "changed" });
    await build(dockerfile);
    expect(harness.steps("step-started")).toEqual([]);
    await writeEntries(context, { "d/a": "changed" });
    await build(dockerfile);
    expect(harness.steps("step-started")).toHaveLength(1);
  });
});

describe("keys", () => {
  test("know a file by its bytes, whatever stage made it and where that stands [6.6]", async () => {
    const { build, harness } = await openCopyBuild({ a: "same", b: "same" });
    await build("FROM scratch AS one\nCOPY a /f\nFROM base\nCOPY --from=one f /g\n");
    await build(
      "FROM base AS first\nRUN x\nFROM scratch AS other\nCOPY b /f\nFROM base\nCOPY --from=other f /g\n",
    );
    expect(harness.steps("step-started")).toEqual(["[other 1/1] COPY b /f"]);
  });

  test("change with a match's name, and not with a sibling's [6.8]", async () => {
    const { build, context, harness } = await openCopyBuild({ "a.js": "a", "b.txt": "b" });
    const dockerfile = "FROM scratch\nCOPY *.js /d/\n";
    await build(dockerfile);
    await rename(join(context, "b.txt"), join(context, "c.txt"));
    await build(dockerfile);
    expect(harness.steps("step-started")).toEqual([]);
    await rename(join(context, "a.js"), join(context, "z.js"));
    await build(dockerfile);
    expect(harness.steps("step-started")).toHaveLength(1);
  });

  test("of WORKDIR hold path, owner and parent [6.12]", async () => {
    const { build, harness } = await openCopyBuild({ a: "a", b: "b" });
    const built = async (dockerfile: string): Promise<readonly string[]> => {
      await build(dockerfile);
      return harness.steps("step-started");
    };
    await built("FROM scratch\nWORKDIR /d\n");
    expect(await built("FROM scratch\nLABEL a=b\nWORKDIR /x/../d\n")).toEqual([]);
    expect(await built("FROM scratch\nWORKDIR /e\n")).toHaveLength(1);
    expect(await built("FROM scratch\nUSER 5\nWORKDIR /d\n")).toHaveLength(1);
    expect(await built("FROM scratch\nCOPY a /a\nWORKDIR /d\n")).toHaveLength(2);
  });
});

test("WORKDIR and USER of a base image count from the start, and make nothing [3.76, 3.77]", async () => {
  const { build, nodesOf } = await openCopyBuild({ a: "a" });
  const parent = "FROM scratch AS parent\nWORKDIR /\nUSER 5:6\nENV X=1\n";
  const used = await build(`${parent}FROM parent\nCOPY a .\nWORKDIR sub\n`);
  const found = await nodesOf(used);
  expect(Object.keys(found)).toEqual(["a", "sub"]);
  expect(withoutTime(found["a"])).toBe("file 644 0:0 a");
  expect(withoutTime(found["sub"])).toBe("directory 755 5:6");
  expect(used.targets[0]?.diffIds).toHaveLength(2);
});

describe("an ignore file", () => {
  test("does not filter what comes from a stage [5.2]", async () => {
    const { nodes } = await openCopyBuild({ ".dockerignore": "x\n", x: "hidden", y: "y" });
    const found = await nodes(
      "FROM scratch AS s\nCOPY y /x\nFROM scratch\nCOPY --from=s / /stage\nCOPY . /context/\n",
    );
    expect(Object.keys(found)).toEqual([
      "context",
      "context/.dockerignore",
      "context/y",
      "stage",
      "stage/x",
    ]);
  });

  test("that hides itself and the Dockerfile hides them from COPY alone [5.12]", async () => {
    const { nodes } = await openCopyBuild({
      ".dockerignore": "Dockerfile\n.dockerignore\nx\n",
      Dockerfile: "FROM scratch\n",
      x: "x",
      y: "y",
    });
    expect(Object.keys(await nodes("FROM scratch\nCOPY . /\n"))).toEqual(["y"]);
  });

  test("keeps the looks of a directory that it excludes but for something inside [5.10]", async () => {
    const { nodes, context } = await openCopyBuild({
      ".dockerignore": "*\n!dir/in/kept\n",
      "dir/in/kept": "k",
      "dir/in/not": "n",
      "dir/not/x": "x",
    });
    await chmod(join(context, "dir"), 0o710);
    await chmod(join(context, "dir/in"), 0o701);
    const found = await nodes("FROM scratch\nCOPY . /\n");
    expect(Object.keys(found)).toEqual(["dir", "dir/in", "dir/in/kept"]);
    expect(withoutTime(found["dir"])).toBe("directory 710 0:0");
    expect(withoutTime(found["dir/in"])).toBe("directory 701 0:0");
  });

  test("makes a source that it excludes one that is not found [5.13]", async () => {
    const { failure } = await openCopyBuild({
      ".dockerignore": "$HIDE\nhidden*\n",
      hidden: "h",
      $HIDE: "",
    });
    const error = await failure("FROM scratch\nARG HIDE=other\nCOPY hidden /\n");
    expect(error).toMatchObject({ code: "CONTEXT_SOURCE_NOT_FOUND", location: place });
    expect(error.message).toContain(
      `failed to calculate checksum of ref context: "/hidden": not found`,
    );
    expect(error.hint).toContain(".dockerignore line 2: hidden*");
  });

  test("counts only by what it removes [5.14]", async () => {
    const { build, context, harness } = await openCopyBuild({
      ".dockerignore": "a\n",
      a: "",
      "d/b": "",
    });
    const dockerfile = "FROM scratch\nCOPY d /\n";
    await build(dockerfile);
    await writeEntries(context, { ".dockerignore": "# other\na*\n" });
    await build(dockerfile);
    expect(harness.steps("step-started")).toEqual([]);
    await mkdir(join(context, "d/e"));
    await build(dockerfile);
    expect(harness.steps("step-started")).toHaveLength(1);
    await writeEntries(context, { ".dockerignore": "d/e\n" });
    await build(dockerfile);
    expect(harness.steps("step-started")).toEqual([]);
  });
});
