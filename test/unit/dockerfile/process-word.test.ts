import { describe, expect, test } from "vitest";
import { isTsbuildError } from "../../../src/core/index.ts";
import { expandWord, processWord, type Lookup } from "../../../src/dockerfile/index.ts";

const variables = new Map([
  ["name", "world"],
  ["empty", ""],
  ["path", "/usr/local/lib/x.tar.gz"],
  ["spaced", "a  b"],
  ["Ünï", "letters"],
]);
const lookup: Lookup = (name) => variables.get(name);

/** The code of the error that `act` throws. */
function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isTsbuildError(error)) return error.code;
    throw error;
  }
  return "none";
}

describe("quoting", () => {
  test.each([
    ["plain", "plain"],
    ["'$name \\n \"x\"'", '$name \\n "x"'],
    ['"$name"', "world"],
    ['"\\$name \\" \\\\ \\n"', '$name " \\ \\n'],
    ["\\$name\\ \\t", "$name t"],
    ["end\\", "end"],
    ["a\"b\"'c'd", "abcd"],
    ["''", ""],
  ])("%s", (word, expected) => {
    expect(expandWord(word, lookup)).toBe(expected);
  });

  test.each(["'open", '"open', '"\\"', "a'b'c'"])("%s lacks a quote", (word) => {
    expect(codeOf(() => expandWord(word, lookup))).toBe("DOCKERFILE_QUOTE");
  });

  test("the backtick takes the backslash's place", () => {
    expect(expandWord('c:\\dir`$x `a "`""', lookup, "`")).toBe('c:\\dir$x a "');
  });
});

describe("variables", () => {
  test.each([
    ["$name", "world"],
    ["${name}s", "worlds"],
    ["$names", ""],
    ["$name.", "world."],
    ["$", "$"],
    ["$.", "$."],
    ["$1a$999b$$c$@", "abc"],
    ["$Ünï", "letters"],
    ["${name}}", "world}"],
    ["$spaced", "a  b"],
  ])("%s", (word, expected) => {
    expect(expandWord(word, lookup)).toBe(expected);
  });

  test.each([
    ["${unset:-a}${unset-b}${empty:-c}${empty-d}${name:-e}", "abcworld"],
    ["${unset:+a}${unset+b}${empty:+c}${empty+d}${name:+e}${name+f}", "def"],
    ["${unset:-${empty:-'$'$name}}", "$world"],
    ["${name:?}${name?}${empty?}", "worldworld"],
    ["${path#/}", "usr/local/lib/x.tar.gz"],
    ["${path#*/}", "usr/local/lib/x.tar.gz"],
    ["${path##*/}", "x.tar.gz"],
    ["${path%.*}", "/usr/local/lib/x.tar"],
    ["${path%%.*}", "/usr/local/lib/x"],
    ["${path%nothing}", "/usr/local/lib/x.tar.gz"],
    ["${path/l?/L}", "/usr/Lcal/lib/x.tar.gz"],
    ["${path//l/L}", "/usr/LocaL/Lib/x.tar.gz"],
    ["${path//\\//:}", ":usr:local:lib:x.tar.gz"],
    ["${path/*.tar/y}", "y.gz"],
    ["${name///-}", "-w-o-r-l-d-"],
    ["${name/o*/}", "w"],
  ])("%s", (word, expected) => {
    expect(expandWord(word, lookup)).toBe(expected);
  });

  test.each([
    "${}",
    "${:x}",
    "${{x}}",
    "${name",
    "${name:=x}",
    "${name:#x}",
    "${name:Y}",
    "${name=x}",
    "${.}",
    "${name#\\a}",
    "${name//}",
    "${name:-${name}",
  ])("%s cannot be read", (word) => {
    expect(codeOf(() => expandWord(word, lookup))).toBe("DOCKERFILE_SUBSTITUTION");
  });

  test.each(["${unset?}", "${unset:?why}", "${empty:?}"])("%s is required", (word) => {
    expect(codeOf(() => expandWord(word, lookup))).toBe("DOCKERFILE_VARIABLE_REQUIRED");
  });

  test("absurd nesting is refused instead of exhausting the stack", () => {
    const word = "${a:-".repeat(20_000) + "}".repeat(20_000);
    expect(codeOf(() => expandWord(word, lookup))).toBe("DOCKERFILE_SUBSTITUTION");
  });

  test("a pattern of many stars takes no exponential time", () => {
    const long = (name: string): string => (name === "long" ? "a".repeat(5000) : "");
    expect(expandWord("${long%%" + "*a".repeat(20) + "b}", long)).toHaveLength(5000);
  });
});

describe("splitting", () => {
  test("values are split at blanks, unless they are quoted", () => {
    expect(processWord('x$spaced "$spaced" y', { lookup }).words).toEqual(["xa", "b", "a  b", "y"]);
  });

  test("raw quotes and kept references give the text back", () => {
    const text = "echo \"$name\" '$x' ${unset:-d} $unset ${unset/a/b}";
    expect(processWord(text, { lookup, rawQuotes: true, keepUnset: true }).text).toBe(
      "echo \"world\" '$x' ${unset:-d} $unset ${unset/a/b}",
    );
  });

  test("a heredoc marker keeps its blanks", () => {
    const options = { lookup, rawQuotes: true, rawEscapes: true, keepUnset: true };
    expect(processWord("cat <<  EOF <<-'A B' <x", options).words).toEqual([
      "cat",
      "<<  EOF",
      "<<-'A B'",
      "<x",
    ]);
  });
});
