import { describe, expect, test } from "vitest";
import { parseIgnoreFile } from "../../../../src/context/index.ts";

const paths = ["foo", "xfoo", "a/foo", "a/b/foo", "a/xfoo", "foo/in/deep", "a", "a/b", "ab", "b"];

/** Those of `paths`, or of others, that an ignore file of these lines excludes. */
function excluded(lines: string | readonly string[], from: readonly string[] = paths): string[] {
  const rules = parseIgnoreFile(typeof lines === "string" ? lines : lines.join("\n"), "ignore");
  return from.filter((path) => rules.match(path) !== undefined);
}

describe("a line", () => {
  test("in column 0 with # is a comment, indented it is a pattern [5.3]", () => {
    expect(excluded(["#foo", "  #a"], ["foo", "#foo", "#a"])).toEqual(["#a"]);
  });

  test("is trimmed, a blank one skipped, and a byte order mark dropped [5.3]", () => {
    expect(excluded("\ufeffa/b/foo  \n\n \t\n\tb\r\n")).toEqual(["a/b/foo", "b"]);
    expect(excluded("\ufeff# comment", ["# comment", "\ufeff# comment"])).toEqual([]);
  });

  test("may have blanks behind its ! [5.3]", () => {
    expect(excluded(["**", "!  a/b"])).not.toContain("a/b/foo");
  });

  test.for(["./b", "b/", "//b", ".//x/..//b/", "/b", "x/../b", "/../b"])(
    "%s means b [5.3]",
    (pattern) => {
      expect(excluded(pattern)).toEqual(["b"]);
    },
  );

  test("/ alone, . and .. match nothing [5.3, 5.11]", () => {
    for (const pattern of ["/", ".", "..", "./", "//"]) expect(excluded(pattern)).toEqual([]);
  });

  test.for([
    ["!", 'illegal exclusion pattern: "!"', 1],
    ["a\n ! ", 'illegal exclusion pattern: "!"', 2],
    ["\n\na[", "[", 3],
    ["[a-]", "[", 1],
    ["![z", "[", 1],
  ] as const)("%j cannot be read [5.4]", ([text, message, line]) => {
    const read = (): unknown => parseIgnoreFile(text, "ignore");
    expect(read).toThrow(message);
    expect(read).toThrow(
      expect.objectContaining({
        code: "CONTEXT_IGNORE_INVALID",
        location: expect.objectContaining({ file: "ignore", line }),
      }),
    );
  });
});

describe("a pattern", () => {
  test("is anchored at the root; **/ frees it [5.5]", () => {
    expect(excluded("foo")).toEqual(["foo", "foo/in/deep"]);
    expect(excluded("**/foo")).toEqual(["foo", "a/foo", "a/b/foo", "foo/in/deep"]);
  });

  test("has *, ? and classes that end at a slash, and knows upper from lower case [5.6]", () => {
    expect(excluded("*foo")).toEqual(["foo", "xfoo", "foo/in/deep"]);
    expect(excluded("?")).toEqual(["a/foo", "a/b/foo", "a/xfoo", "a", "a/b", "b"]);
    expect(excluded("[a-c]")).toEqual(["a/foo", "a/b/foo", "a/xfoo", "a", "a/b", "b"]);
    expect(excluded("[^b]", ["a", "b"])).toEqual(["a"]);
    expect(excluded("FOO")).toEqual([]);
  });

  test("takes what a backslash stands before, and all of other languages, as it is [5.6]", () => {
    const names = ["*", "x", "a+b", "aab", "(a|b)", "a.b", "a1b", "{a,b}", "$", "^x"];
    expect(excluded("\\*", names)).toEqual(["*"]);
    expect(excluded("\\x", names)).toEqual(["x"]);
    expect(excluded(["a+b", "(a|b)", "a.b", "{a,b}", "$", "^x"], names)).toEqual([
      "a+b",
      "(a|b)",
      "a.b",
      "{a,b}",
      "$",
      "^x",
    ]);
  });

  test("has ** for any number of directories, none included [5.7]", () => {
    expect(excluded("a/**/foo")).toEqual(["a/foo", "a/b/foo"]);
    expect(excluded("a/**")).toEqual(["a/foo", "a/b/foo", "a/xfoo", "a/b"]);
    expect(excluded("**")).toEqual(paths);
    expect(excluded("**/b")).toEqual(["a/b/foo", "a/b", "b"]);
  });

  test("that begins with ** and has no other wildcard is a suffix [5.7]", () => {
    expect(excluded("**foo")).toEqual(["foo", "xfoo", "a/foo", "a/b/foo", "a/xfoo", "foo/in/deep"]);
  });

  test("that matches a directory matches all below it [5.8]", () => {
    expect(excluded("a/b")).toEqual(["a/b/foo", "a/b"]);
    expect(excluded("*/in")).toEqual(["foo/in/deep"]);
  });

  test("* and ** exclude everything, but nothing excludes the root [5.11]", () => {
    for (const pattern of ["*", "**", ".", "/"]) {
      expect(excluded(pattern, [""])).toEqual([]);
      expect(excluded(pattern)).toEqual(pattern.startsWith("*") ? paths : []);
    }
  });
});

describe("several patterns", () => {
  test("are asked from the top; the last that matches decides [5.9]", () => {
    expect(excluded(["a", "!a/b", "a/b/foo"])).toEqual(["a/foo", "a/b/foo", "a/xfoo", "a"]);
    expect(excluded(["!a", "a"])).toContain("a");
  });

  test("take a file back from an excluded directory, and with a directory all that is in it [5.9]", () => {
    expect(excluded(["*", "!a/foo"])).not.toContain("a/foo");
    expect(excluded(["**", "!a/b"])).toEqual([
      "foo",
      "xfoo",
      "a/foo",
      "a/xfoo",
      "foo/in/deep",
      "a",
      "ab",
      "b",
    ]);
  });
});
