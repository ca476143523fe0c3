import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { expandWord } from "../../src/dockerfile/index.ts";

/** Set, empty and unset variables; the values hold what the patterns below can match. */
const variables = new Map([
  ["a", "abcab"],
  ["p", "/x/y.z/x.z"],
  ["s", "a*b?c"],
  ["e", ""],
]);

const name = fc.constantFrom("a", "p", "s", "e", "u");
const literal = fc.stringMatching(/^[abcxyz./_]{0,3}$/);
const wildcard = fc.constantFrom("*", "?", "\\*", "\\?", "/*", "*/", "?b", "a", "x", ".z");

/** `${name<operator>word}`, where the word may hold further ones. */
const { substitution } = fc.letrec<{ substitution: string; word: string }>((tie) => ({
  substitution: fc.oneof(
    { depthSize: "small" },
    name.map((variable) => `\${${variable}}`),
    fc
      .tuple(name, fc.constantFrom(":-", "-", ":+", "+"), tie("word"))
      .map(([variable, operator, word]) => `\${${variable}${operator}${word}}`),
    fc
      .tuple(name, fc.constantFrom("#", "##", "%", "%%"), fc.array(wildcard, { maxLength: 3 }))
      .map(([variable, operator, pattern]) => `\${${variable}${operator}${pattern.join("")}}`),
  ),
  word: fc
    .array(fc.oneof(literal, tie("substitution")), { maxLength: 3 })
    .map((parts) => parts.join("")),
}));

/** What only bash has; there a pattern that begins with # or % means more, and nothing is replaced in an empty value. */
const replacement = fc
  .tuple(
    fc.constantFrom("a", "p", "s"),
    fc.constantFrom("/", "//"),
    fc.array(fc.constantFrom("*", "?", "a", "b", "x", "."), { minLength: 1, maxLength: 3 }),
    literal.map((text) => text.replaceAll("/", "")),
  )
  .map(
    ([variable, operator, pattern, text]) =>
      `\${${variable}${operator}${pattern.join("")}/${text}}`,
  );

/** One process for all words: each is printed on a line of its own. */
function expandedBy(shell: string, words: readonly string[]): readonly string[] {
  const settings = Array.from(variables, ([key, value]) => `${key}='${value}'`);
  const script = [...settings, "unset u", ...words.map((word) => `printf '%s\\n' "[${word}]"`)];
  const output = execFileSync(shell, ["-c", script.join("\n")], { encoding: "utf8" });
  return output.split("\n").slice(0, -1);
}

function expectSame(shell: string, word: fc.Arbitrary<string>): void {
  const words = fc.sample(word, { numRuns: 400, seed: 20_261_121 });
  const own = words.map((text) => expandWord(`"[${text}]"`, (key) => variables.get(key)));
  expect(own.map((text, index) => [words[index], text])).toEqual(
    expandedBy(shell, words).map((text, index) => [words[index], text]),
  );
}

describe("modifiers give what a shell gives [2.4, 2.5, 2.7]", () => {
  test("sh: defaults, alternatives, prefixes and suffixes, one inside the other", () => {
    expectSame("sh", substitution);
  });

  test("bash: the same, and replacements", () => {
    expectSame("bash", substitution);
    expectSame("bash", replacement);
  });

  test("sh: quotes and escapes of a word outside of substitutions [2.10, 2.11]", () => {
    const piece = fc.constantFrom(
      "a",
      "b ",
      "\\$a",
      "\\\\",
      "'$a'",
      '"$a"',
      '"\\$a\\""',
      "\\t",
      "$a",
      "${e:-c}",
    );
    const words = fc.sample(fc.array(piece, { minLength: 1, maxLength: 5 }), {
      numRuns: 200,
      seed: 7,
    });
    const settings = ["a='abcab'", "e="];
    const texts = words.map((parts) => parts.join("").trim().replaceAll("b a", "ba"));
    const script = [
      ...settings,
      "set -f; IFS=",
      ...texts.map((text) => `x=${text.replaceAll(" ", "\\ ")}; printf '%s\\n' "$x"`),
    ];
    const shell = execFileSync("sh", ["-c", script.join("\n")], { encoding: "utf8" }).split("\n");
    const lookup = (key: string): string | undefined => variables.get(key);
    expect(texts.map((text) => expandWord(text.replaceAll(" ", "\\ "), lookup))).toEqual(
      shell.slice(0, -1),
    );
  });
});
