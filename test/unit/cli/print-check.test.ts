import { expect, test } from "vitest";
import { formatCheck } from "../../../src/cli/call/print-check.ts";

type Result = Parameters<typeof formatCheck>[0];

function check(text: string, places: readonly (readonly [number, number?])[]): string {
  const warnings = places.map(([line, endLine = line], index): Result["warnings"][number] => ({
    code: `Rule${String(index)}`,
    description: "d",
    message: `message ${String(index)}`,
    ...(index === 0 ? { url: "https://example.com/rule" } : { hint: "do this" }),
    location: { file: "sub/Dockerfile", line, column: 1, endLine },
  }));
  const source = { name: "sub/Dockerfile", bytes: Buffer.from(text) };
  return formatCheck({ warnings, error: undefined, source });
}

const eight = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n";

test("a finding has its rule, its page, its message and the lines around it [7.10]", () => {
  expect(check(eight, [[4]])).toBe(`Check complete, 1 warning has been found!

WARNING: Rule0 - https://example.com/rule
message 0
sub/Dockerfile:4
--------------------
   2 |     two
   3 |     three
   4 | >>> four
   5 |     five
   6 |     six
--------------------
`);
});

test("all lines of an instruction are marked, with fewer around them", () => {
  expect(check(eight, [[1], [3, 5]])).toContain(`
WARNING: Rule1
message 1
hint: do this
sub/Dockerfile:3
--------------------
   2 |     two
   3 | >>> three
   4 | >>> four
   5 | >>> five
   6 |     six
--------------------
`);
});

test("the word that is wrong is underlined, behind tabs and wide characters too", () => {
  const location = { file: "Dockerfile", line: 1, column: 1, endLine: 2 };
  const place = { file: "Dockerfile", line: 2, column: 4, length: 2 };
  const warning = { code: "Rule", description: "d", message: "m", location, place };
  const source = { name: "Dockerfile", bytes: Buffer.from("COPY \\\n\t漢 $B\nRUN x\n") };
  expect(formatCheck({ warnings: [warning], error: undefined, source })).toContain(
    "   2 | >>>         漢 $B\n     |                ^^\n   3 |     RUN x\n",
  );
});

test("at an end of the file the lines of the other side are shown instead", () => {
  expect(check(eight, [[8]])).toContain("   6 |     six\n   7 |     seven\n   8 | >>> eight\n---");
  expect(check("only\n", [[1]])).toContain("---\n   1 | >>> only\n---");
});

test("what could control a terminal is not passed on", () => {
  expect(check("RUN \u001b]0;title\u0007x\n", [[1]])).not.toContain("\u001b");
});

test("nothing found is told", () => {
  expect(check(eight, [])).toBe("Check complete, no warnings found.\n");
  expect(check(eight, [[1], [2]])).toMatch(/^Check complete, 2 warnings have been found!\n/);
});
