import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTsbuildError } from "../../src/core/index.ts";
import {
  expandWord,
  formatDockerfile,
  parseDockerfile,
  type Lookup,
} from "../../src/dockerfile/index.ts";
import { syntaxOnly } from "../support/syntax-only.ts";
import { matchEnds, compilePattern } from "../../src/dockerfile/glob-pattern.ts";

const lookup: Lookup = (name) => (name.length % 3 === 0 ? undefined : name.repeat(2));

/** Pieces that mean something to the parser, so that random text reaches more than its first line. */
const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ..."$ { } : - + ? # % / * \\ ' \" ` < << = [ ] , \n \r\n \t".split(" "),
      " ",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "FROM a",
      "RUN ",
      "COPY ",
      "ENV ",
      "<<EOF",
      "EOF",
      "--from=",
      "\\\n",
      "# escape=`",
    ),
  },
  { weight: 2, arbitrary: fc.string({ maxLength: 4 }) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 3 }) },
);
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

/** Whatever goes wrong is one of our errors. */
function attempt<Result>(act: () => Result): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    expect(error.code).toMatch(/^DOCKERFILE_/);
    expect(error.hint).toBeTruthy();
    return undefined;
  }
}

describe("expansion", () => {
  test("any text either expands or fails with a code", () => {
    fc.assert(
      fc.property(text, fc.constantFrom("\\" as const, "`" as const), (word, escape) => {
        attempt(() => expandWord(word, lookup, escape));
      }),
      { numRuns: 500 },
    );
  });

  test("single quotes are literal", () => {
    fc.assert(
      fc.property(text, (word) => {
        const plain = word.replaceAll("'", "");
        expect(expandWord(`'${plain}'`, lookup)).toBe(plain);
      }),
    );
  });

  test("escaping every character gives it back", () => {
    fc.assert(
      fc.property(text, (word) => {
        const escaped = [...word].map((character) => `\\${character}`).join("");
        expect(expandWord(escaped, lookup)).toBe(word);
      }),
    );
  });
});

const regularExpressions = new Map([
  ["*", ".*?"],
  ["?", "."],
  [".", "\\."],
]);

test("patterns match what the same regular expression matches", () => {
  const pattern = fc.array(fc.constantFrom("a", "b", ".", "*", "?"), { maxLength: 5 });
  const value = fc.array(fc.constantFrom("a", "b", "."), { maxLength: 8 });
  fc.assert(
    fc.property(pattern, value, (parts, characters) => {
      const source = parts.map((part) => regularExpressions.get(part) ?? part).join("");
      const shortest = new RegExp(`^${source}`).exec(characters.join(""))?.[0].length ?? -1;
      const greedy = source.replaceAll(".*?", ".*");
      const longest = new RegExp(`^${greedy}`).exec(characters.join(""))?.[0].length ?? -1;
      const tokens = compilePattern(parts.join(""));
      expect(matchEnds(tokens, characters, { longest: false })[0]).toBe(shortest);
      expect(matchEnds(tokens, characters, { longest: true })[0]).toBe(longest);
    }),
    { numRuns: 300 },
  );
});

describe("parsing", () => {
  test("any text either parses or fails with a code and a place inside the file", () => {
    fc.assert(
      fc.property(text, (body) => {
        const source = `FROM a\n${body}`;
        const lines = source.split("\n").length;
        try {
          parseDockerfile(source, { file: "Dockerfile" });
        } catch (error) {
          if (!isTsbuildError(error)) throw error;
          expect(error.location?.line).toBeGreaterThanOrEqual(1);
          expect(error.location?.line).toBeLessThanOrEqual(lines);
          expect(error.location?.column).toBeGreaterThanOrEqual(1);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("what is parsed can be written, and then reads the same", () => {
    fc.assert(
      fc.property(text, (body) => {
        const first = attempt(() => parseDockerfile(`FROM a\n${body}`, { file: "Dockerfile" }));
        if (first === undefined) return;
        const again = parseDockerfile(formatDockerfile(first), { file: "Dockerfile" });
        expect(syntaxOnly(again)).toEqual(syntaxOnly(first));
      }),
      { numRuns: 500 },
    );
  });

  test("a continuation, a comment and a blank line change nothing", () => {
    const word = fc.stringMatching(/^[a-z=,./]{1,6}$/);
    fc.assert(
      fc.property(fc.array(word, { minLength: 2, maxLength: 6 }), fc.nat(), (words, at) => {
        const index = 1 + (at % (words.length - 1));
        const before = words.slice(0, index).join(" ");
        const after = words.slice(index).join(" ");
        const plain = parseDockerfile(`FROM a\nRUN ${before} ${after}\n`, { file: "D" });
        const broken = parseDockerfile(`FROM a\nRUN ${before} \\\n# no \\\n\n${after}\n`, {
          file: "D",
        });
        expect(broken.stages.map(withoutPlaces)).toEqual(plain.stages.map(withoutPlaces));
      }),
    );
  });
});

function withoutPlaces(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, member: unknown) => (key === "location" ? undefined : member)),
  );
}
