import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { isTsbuildError } from "../../../src/core/index.ts";
import {
  formatDockerfile,
  parseDockerfile,
  type Dockerfile,
} from "../../../src/dockerfile/index.ts";
import { syntaxOnly } from "../../support/syntax-only.ts";

function parse(text: string | Uint8Array): Dockerfile {
  return parseDockerfile(text, { file: "Dockerfile" });
}

/** The formatted text, after a look that it means the same. */
function formatted(text: string): string {
  const parsed = parse(text);
  const again = formatDockerfile(parsed);
  expect(syntaxOnly(parse(again))).toEqual(syntaxOnly(parsed));
  expect(formatDockerfile(parse(again))).toBe(again);
  return again;
}

test("one instruction, one line, its comments above it", () => {
  const text =
    "# escape=`\n\n#a\nfrom   x:1 as Y\nrun a `\n# gone\n\n  b\nCOPY  --from=Y a\tb  /c\n";
  expect(formatted(text)).toBe(
    "# escape=`\n\n# a\nFROM x:1 AS y\nRUN a   b\nCOPY --from=Y a b /c\n",
  );
});

describe("what would read differently", () => {
  test.each([
    ["a comment that looks like a directive", "# a\n# escape=`\nFROM x\n"],
    ["a comment that looks like one at the top", "\n# syntax=a/b\nFROM x\n"],
    ["words like flags", "FROM x\nRUN -- --a\nENV -- --b=c\nCMD -- --d\nARG -- --e\n"],
    ["flags with blanks and quotes", "FROM x\nCOPY --chown='a b' --exclude=\"c'd\" e f\n"],
    ["flags with escapes", 'FROM x\nCOPY --exclude=a\\\\b --exclude=\\"c d e\n'],
    ["paths with blanks", 'FROM x\nCOPY ["a b", "", "c"]\nVOLUME ["d e"]\n'],
    ["paths that look like an array", 'FROM x\nCOPY ["[a", "b]"]\nADD [a b] c\n'],
    ["paths that look like a heredoc", 'FROM x\nCOPY ["<<EOF", "/x"]\nCOPY it\'s <<EOF /x\n'],
    ["an escape character at the end", "FROM x\nRUN a\\\f\nUSER b\\\\\nRUN c\\ \\"],
    ["a trigger at the end of the file", "FROM x\nONBUILD RUN c\\ \\"],
    ["a trigger with a body", "FROM x\nONBUILD RUN <<A cat\n a\nA\nRUN b\n"],
    ["a trigger behind white space that is none", "FROM x\nONBUILD \uFEFFCMD [1]\n"],
    ["ports with Unicode's blanks", "FROM x\nEXPOSE v\u0085 p\nEXPOSE b \u0085a c\n"],
    ["a marker between paths with quotes", "FROM x\nCOPY <<EOF ' '\nEOF\n"],
    ["a marker inside of quotes", "FROM x\nCOPY ' <<\\' <<A /\nA\n"],
    ["a marker behind a flag that looks like one", 'FROM x\nCOPY --chown=<< b <<"C" /\nC\n'],
    ["a marker behind an open substitution", "FROM x\nCOPY --chmod='${' <<E b\nE\n"],
    ["no marker behind an open substitution", "FROM x\nRUN --mount=${ <<'J'\n"],
    ["a broken marker where there are none", "FROM x\nARG <<${E? }\n"],
    ["an open quote before a blank", 'ARG C" \\\f\nFROM x\nENV a=" \\\f\nRUN'],
    ["an old name that ends with an escape", "FROM x\nENV \\  =\n"],
    ["old pairs", 'FROM x\nENV a  b=c  d\nLABEL "e f" g\n'],
    [
      "bodies of all kinds",
      "FROM x\nRUN <<-A cat 3<<'B'\n\ta\n\tA\nb\nB\nCOPY <<\"C\" <<-D e /\n$c\nC\n\td\nD\n",
    ],
    ["a body nobody reads", "FROM x\nCOPY << EOF /x\nbody\nEOF\n"],
    [
      "bodies of one name",
      "FROM x\nCOPY <<A <<-A /x/\n1\nA\n\t\nA\nCOPY <<-A <<A /x/\n1\nA\n\tA\nA\n",
    ],
    ["names with quotes", "FROM x\nCOPY <<e\\'f <<\"g'h\" /x/\na\ne'f\nb\ng'h\n"],
    ["durations", "FROM x\nHEALTHCHECK --interval=1m30s --retries=3 CMD -- x\nHEALTHCHECK none\n"],
  ])("%s", (_, text) => {
    formatted(text);
  });

  test("lines that are too long", () => {
    const words = Array.from({ length: 30_000 }, (_, index) => `\\#word${String(index)}`).join(" ");
    const text = `FROM x\nRUN ${words.match(/.{1,50000}/gs)?.join("\\\n") ?? ""}\n`;
    expect(
      Math.max(
        ...formatted(text)
          .split("\n")
          .map((line) => line.length),
      ),
    ).toBeLessThan(65_535);
  });
});

test("every golden Dockerfile", () => {
  const root = resolve(import.meta.dirname, "../../../fixtures/dockerfiles");
  for (const name of readdirSync(root)) {
    try {
      formatted(parse(readFileSync(join(root, name, "Dockerfile"))).lines.join("\n"));
    } catch (error) {
      if (!isTsbuildError(error)) throw new Error(name, { cause: error });
    }
  }
});
