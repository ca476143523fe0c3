import { expect, test } from "vitest";
import { parseIgnoreFile } from "../../../../src/context/index.ts";

function excludes(lines: string | readonly string[], path: string): boolean {
  const text = typeof lines === "string" ? lines : lines.join("\n");
  return parseIgnoreFile(text, ".dockerignore").match(path) !== undefined;
}

// One pattern, a path, whether it is excluded; after what moby/patternmatcher answers.
const single: [string, string, boolean][] = [
  ["foo", "foo", true],
  ["foo", "a/foo", false],
  ["foo", "foo/bar/baz", true],
  ["foo/", "foo/bar", true],
  ["/foo", "foo", true],
  ["./foo//bar/.", "foo/bar", true],
  ["a/../foo", "foo", true],
  ["../foo", "foo", false],
  ["/../foo", "foo", true],
  ["/", "foo", false],
  [".", "foo", false],
  ["*", "foo", true],
  ["*", ".foo", true],
  ["*", "foo/bar", true],
  ["*/bar", "foo/bar", true],
  ["*/bar", "bar", false],
  ["*/bar", "a/foo/bar", false],
  ["a*", "a", true],
  ["a*/b", "a/c/b", false],
  ["a?c", "abc", true],
  ["a?c", "a/c", false],
  ["a?c", "a☺c", true],
  ["a?c", "a😀c", true],
  ["a??c", "a😀c", false],
  ["**", "foo", true],
  ["**", ".a/b/c", true],
  ["**/", "a/b", true],
  ["**/**", "a/b", true],
  ["**/foo", "foo", true],
  ["**/foo", "a/b/foo", true],
  ["**/foo", "a/foo/bar", true],
  ["**/foo", "afoo", false],
  ["**/foo", "a/bfoo", false],
  ["**/foo/bar", "foo/bar", true],
  ["**/foo/bar", "x/y/foo/bar", true],
  ["**/foo/bar", "xfoo/bar", false],
  ["**foo", "xfoo", true],
  ["**foo", "a/xfoo", true],
  ["**foo", "xfoo/below", true],
  ["**foo", "foox", false],
  ["**.foo", "bar.foo", true],
  ["**/.foo", "bar.foo", false],
  ["**/*.log", "x.log", true],
  ["**/*.log", "a/.log", true],
  ["**/*.log", "a/b.log/c", true],
  ["**/*.log", "a/x.logs", false],
  ["**/*.min.js", "a/x.min.js", true],
  ["**/*.min.js", "a/x.js", false],
  ["**/*~", "a/b~", true],
  ["**/*/x", "a/x", true],
  ["**/*/x", "x", false],
  ["a/**", "a", false],
  ["a/**", "a/b", true],
  ["a/**", "a/b/c", true],
  ["a/**", "ab", false],
  ["a**", "a", true],
  ["a**", "abc/d", true],
  ["a/**/b", "a/b", true],
  ["a/**/b", "a/x/y/b", true],
  ["a/**/b", "ab", false],
  ["a**/*.txt", "a/d/e/f.txt", true],
  ["a/*.txt", "a/d/f.txt", false],
  ["a/*.txt**", "a/f.txt/below", true],
  ["a[b-d]e", "ace", true],
  ["a[b-d]e", "aae", false],
  ["a[^b-d]e", "aze", true],
  ["a[^b-d]e", "ace", false],
  ["a[^b]e", "a/e", true],
  ["a[!b]e", "a!e", true],
  ["a[!b]e", "ace", false],
  ["a[\\]]e", "a]e", true],
  ["[a-ζ]x", "αx", true],
  ["[*]", "*", true],
  ["[*]", "a", false],
  ["a\\*b", "a*b", true],
  ["a\\*b", "axb", false],
  ["a\\\\", "a\\", true],
  ["**f\\oo", "foo", true],
  ["**f\\oo", "xfoo", false],
  ["abc.def", "abcdef", false],
  ["abc.def", "abcZdef", false],
  ["a.|)$(}+{bc", "a.|)$(}+{bc", true],
  ["{a,b}", "a", false],
  ["{a,b}", "{a,b}", true],
  ["Foo", "foo", false],
  ["a^b*", "a^bc", true],
];

test.each(single)("pattern %j and path %j: excluded %s", (pattern, path, expected) => {
  expect(excludes(pattern, path)).toBe(expected);
});

// The last rule that matches decides, whether it matches the path or a parent of it.
const several: [string[], string, boolean][] = [
  [["docs", "!docs/README.md"], "docs/README.md", false],
  [["docs", "!docs/README.md"], "docs/other.md", true],
  [["docs/*", "!docs/README.md"], "docs/README.md", false],
  [["!docs/README.md", "docs"], "docs/README.md", true],
  [["**", "!util/web"], "util/web/foo", false],
  [["**", "!util/web", "util/web/foo"], "util/web/foo", true],
  [["**", "!util/web"], "util", true],
  [["*", "!*.md", "secret.md"], "a.md", false],
  [["*", "!*.md", "secret.md"], "secret.md", true],
  [["a", "!a/b", "a/b/c"], "a/b/c/d", true],
  [["a", "!a/b", "a/b/c"], "a/b/d", false],
  [["a/b", "!a", "x"], "a/b", false],
  [["*.log", "!keep.log", "!*"], "x.log", false],
  [["!a", "b"], "a", false],
];

test.each(several)("rules %j and path %j: excluded %s", (rules, path, expected) => {
  expect(excludes(rules, path)).toBe(expected);
});

test("comments, blank lines, a byte order mark, white space and CRLF are read as they are meant", () => {
  const rules = parseIgnoreFile("\ufeff# note\r\n\r\n  foo \r\n #bar\r\n!  foo/keep\r\n", "x");
  expect(rules.match("foo")).toEqual(expect.objectContaining({ line: 3, pattern: "foo" }));
  expect(rules.match("foo/keep")).toBeUndefined();
  expect(rules.match("#bar")).toMatchObject({ line: 4 });
  expect(rules.match("# note")).toBeUndefined();
});

test("the root is never excluded", () => {
  expect(excludes(["*", "**", ".", "/"], "")).toBe(false);
});

test.each([
  ["a\n!", 2],
  ["!  ", 1],
  ["x\n\n[", 3],
  ["[]a]", 1],
  ["[a-]", 1],
  ["a\\", 1],
])("the broken file %j is refused at line %i", (text, line) => {
  expect(() => parseIgnoreFile(text, "ignore")).toThrow(
    expect.objectContaining({
      code: "CONTEXT_IGNORE_INVALID",
      location: expect.objectContaining({ file: "ignore", line }),
    }),
  );
});

test("names and patterns that are not UTF-8 are compared byte by byte", () => {
  const rules = parseIgnoreFile(Buffer.from("caf\xe9\nx?y", "latin1"), "ignore");
  const broken = String.fromCharCode(0xdc00 + 0xe9);
  expect(rules.match(`caf${broken}`)).toBeDefined();
  expect(rules.match(`caf${String.fromCharCode(0xdc00 + 0xe8)}`)).toBeUndefined();
  expect(rules.match(`x${broken}y`)).toBeDefined();
});

// An excluded directory, and whether an exception may lie below it.
const skippable: [string[], string, boolean][] = [
  [["node_modules"], "node_modules", true],
  [["node_modules"], "node_modules/a/b", true],
  [["node_modules"], "src", false],
  [["*", "!src"], "docs", true],
  [["*", "!src/*.ts"], "src", false],
  [["*", "!src/*.ts"], "src/deep", true],
  [["*", "!src/**/x"], "src/deep", false],
  [["*", "!src/**"], "src/deep", false],
  [["*", "!src/**"], "docs", true],
  [["*", "!s**"], "docs", true],
  [["*", "!s**"], "src", false],
  [["*", "!**/*.md"], "docs", false],
  [["*", "!**keep"], "docs", false],
  [["!docs/keep", "*"], "docs", true],
  [["*", "!d[^a]cs"], "d", false],
  [["*", "!a/b/c"], "a", false],
  [["*", "!a/b/c"], "a/c", true],
  [["a", "!a"], "a", false],
];

test.each(skippable)("rules %j: directory %j can be skipped: %s", (rules, directory, expected) => {
  expect(parseIgnoreFile(rules.join("\n"), "x").canSkipDirectory(directory)).toBe(expected);
});
