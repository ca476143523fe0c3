import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  openDirectoryContext,
  selectSources,
  type SelectOptions,
} from "../../../src/context/index.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tsbuild-select-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function put(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), "");
  }
}

async function select(pattern: string, options?: SelectOptions): Promise<string[]> {
  const context = await openDirectoryContext({ directory });
  return (await selectSources(context, pattern, options)).map(String);
}

describe("plain names", () => {
  test.each(["a/f", "/a/f", "./a/f", "a//f", "../a/f", "../../x/../a/f", "a/f/", "a/f/."])(
    "%s names the same file [3.42]",
    async (pattern) => {
      put("a/f");
      expect(await select(pattern)).toEqual(["a/f"]);
    },
  );

  test.each([".", "/", "", "./"])("%j names the root [3.42]", async (pattern) => {
    expect(await select(pattern)).toEqual([""]);
  });

  test("a backslash takes the meaning from a wildcard [3.43]", async () => {
    put("a*b", "axb", "[x]");
    expect(await select("a\\*b")).toEqual(["a*b"]);
    expect(await select("\\[x]")).toEqual(["[x]"]);
  });

  test("a symlink keeps its own name, links on the way do not [3.46]", async () => {
    put("real/dir/file");
    symlinkSync("real", join(directory, "link"));
    symlinkSync("dir/file", join(directory, "real/other"));
    expect(await select("link")).toEqual(["link"]);
    expect(await select("link/dir/file")).toEqual(["real/dir/file"]);
    expect(await select("link/other")).toEqual(["real/other"]);
  });

  test("a symlink that leads out is taken from the context's root [3.47]", async () => {
    put("etc/passwd");
    symlinkSync("/etc", join(directory, "absolute"));
    symlinkSync("../../../../etc", join(directory, "climbing"));
    expect(await select("absolute/passwd")).toEqual(["etc/passwd"]);
    expect(await select("climbing/passwd")).toEqual(["etc/passwd"]);
  });
});

describe("wildcards", () => {
  beforeEach(() => put("a.txt", "b.txt", ".c.txt", "d/x.txt", "d/e/y.txt", "f😀.md", "g!.md"));

  test.each([
    ["*.txt", [".c.txt", "a.txt", "b.txt"]],
    ["?.txt", ["a.txt", "b.txt"]],
    ["[^a].txt", ["b.txt"]],
    ["[!a].txt", ["a.txt"]],
    ["[z-a].txt", []],
    ["[[:alpha:]].txt", []],
    ["*/*.txt", ["d/x.txt"]],
    ["d/*", ["d/e", "d/x.txt"]],
    ["/d/**", ["d/e", "d/x.txt"]],
    ["**/y.txt", []],
    ["f?.md", ["f😀.md"]],
    ["f[😀x].md", ["f😀.md"]],
    ["f??.md", []],
    ["g[!].md", ["g!.md"]],
    ["{a,b}.txt", null],
    ["*{a,b}.txt", []],
    ["+(a).t*", []],
    ["nothing*", []],
    ["a.txt/*", []],
  ])("%s selects %j [3.43]", async (pattern, expected) => {
    if (expected === null)
      await expect(select(pattern)).rejects.toMatchObject({ code: "CONTEXT_SOURCE_NOT_FOUND" });
    else expect(await select(pattern)).toEqual(expected);
  });

  test("a matched symlink is selected, one in the middle is not entered [3.46]", async () => {
    symlinkSync("d", join(directory, "link"));
    expect(await select("l*")).toEqual(["link"]);
    expect(await select("l*/*.txt")).toEqual([]);
    expect(await select("link/*.txt")).toEqual(["d/x.txt"]);
  });

  test("with --parents ** stands for any directories [3.62]", async () => {
    expect(await select("**/*.txt", { parents: true })).toEqual([
      ".c.txt",
      "a.txt",
      "b.txt",
      "d/e/y.txt",
      "d/x.txt",
    ]);
    expect(await select("./d/./**/y.txt", { parents: true })).toEqual(["d/e/y.txt"]);
    expect(await select("**y.txt", { parents: true })).toEqual(["d/e/y.txt"]);
    expect(await select("d/**", { parents: true })).toEqual(["d/e", "d/x.txt"]);
  });

  test("excluded files are not matched", async () => {
    writeFileSync(join(directory, ".dockerignore"), "b.txt\n");
    expect(await select("?.txt")).toEqual(["a.txt"]);
  });

  test.each(["[", "a[]", "x\\", "d/[a-].txt"])(
    "the broken pattern %s is refused",
    async (pattern) => {
      await expect(select(pattern)).rejects.toMatchObject({ code: "CONTEXT_PATTERN_INVALID" });
    },
  );
});

describe("what is not there", () => {
  async function failure(pattern: string): Promise<{ hint: string; details: unknown }> {
    return select(pattern).then(
      () => Promise.reject(new Error("was found")),
      (error: unknown) => {
        expect(error).toMatchObject({ code: "CONTEXT_SOURCE_NOT_FOUND" });
        return error as { hint: string; details: unknown };
      },
    );
  }

  test("a missing name, a dangling link, a missing directory before a wildcard [3.44]", async () => {
    put("a");
    symlinkSync("nowhere", join(directory, "dangling"));
    for (const pattern of ["x", "a/b", "dangling", "x/*"]) await failure(pattern);
  });

  test("a near name is offered", async () => {
    put("package.json", "src/index.ts");
    expect((await failure("pakage.json")).hint).toContain("package.json");
    expect((await failure("scr/index.ts")).hint).toContain("src");
    expect((await failure("src/indx.ts")).hint).toContain("src/index.ts");
  });

  test("the rule that excludes it is told [5.13]", async () => {
    put("dist/app.js");
    writeFileSync(join(directory, ".dockerignore"), "# built\ndist\n");
    const { hint, details } = await failure("dist/app.js");
    expect(hint).toContain(".dockerignore line 2: dist");
    expect(details).toMatchObject({ ignoredBy: { line: 2, pattern: "dist" } });
  });

  test("a path above the root is called what it is [3.42]", async () => {
    expect((await failure("../other/file")).hint).toContain("outside of the build context");
  });
});
