import { expect, test } from "vitest";
import type { ContextReport } from "../../../src/api/index.ts";
import { formatContext, formatExplanations } from "../../../src/cli/context/print-context.ts";

const location = { file: "Dockerfile", line: 3, column: 1 };
const rule = { file: ".dockerignore", line: 2, pattern: "*.log" };
const use = {
  step: "[2/2] COPY . /",
  location,
  pattern: ".",
  files: 2,
  bytes: 1500,
  problem: undefined,
};

const report: ContextReport = {
  context: ".",
  files: 3,
  folders: 1,
  bytes: 2000,
  rules: { count: 2, file: ".dockerignore" },
  ignored: [
    { path: "a.log", rule },
    { path: "b.log", rule },
  ],
  largestFiles: [{ path: "src/a\u001b[2J\nb", size: 1500 }],
  largestFolders: [{ path: "src", size: 1500, files: 1 }],
  uses: [use],
  problem: undefined,
  unused: { files: 1, bytes: 500, largest: [{ path: "rest", size: 500, files: 1 }] },
  findings: [{ code: "ENVIRONMENT", path: ".env", size: 9, isUsed: true, what: "settings" }],
};

test("a context is told in sections, and names do nothing to the terminal", () => {
  expect(formatContext(report)).toMatchInlineSnapshot(`
    "Context .: 3 files in 1 folder, 2kB
    2 rules in .dockerignore:
      .dockerignore:2 *.log leaves out a.log and 1 more

    Largest files
        1.5kB  src/a\\nb

    Largest folders
        1.5kB  src/  1 file

    Read by
      Dockerfile:3 [2/2] COPY . /  2 files, 1.5kB

    Read by nobody
      1 file, 500B, that no COPY, ADD or mount of any stage reads
         500B  rest

    Worth a look
      ENVIRONMENT  .env  9B: settings; read by the build
    "
  `);
});

test("rules that leave nothing out are told as such", () => {
  expect(formatContext({ ...report, ignored: [] })).toContain(
    "2 rules in .dockerignore, and nothing is left out\n",
  );
});

test("sections without lines are left out", () => {
  const empty = { ...report, ignored: [], rules: { count: 0, file: undefined } };
  const none = { largestFiles: [], largestFolders: [], uses: [], unused: undefined, findings: [] };
  expect(formatContext({ ...empty, ...none, problem: "Dockerfile:1: wrong" }))
    .toMatchInlineSnapshot(`
    "Context .: 3 files in 1 folder, 2kB
    No rules of an ignore file leave anything out.

    The Dockerfile cannot be built, so nobody knows what it reads: Dockerfile:1: wrong
    "
  `);
});

test("an explanation names the rules that decide, and the readers", () => {
  const taken = { rule, isException: false, matched: "logs" };
  const back = {
    rule: { ...rule, line: 3, pattern: "!logs/x" },
    isException: true,
    matched: "logs/x",
  };
  const found = {
    path: "logs/x",
    isThere: true,
    isIncluded: true,
    rules: [taken, back],
    uses: [use],
  };
  const left = { ...found, isIncluded: false, rules: [taken], uses: [] };
  expect(
    formatExplanations([
      found,
      left,
      { ...found, rules: [], uses: [] },
      { ...left, isThere: false },
      { ...left, isThere: false, rules: [] },
    ]),
  ).toMatchInlineSnapshot(`
    "logs/x: in the context: .dockerignore:3 !logs/x takes it back
      before that: .dockerignore:2 *.log leaves it out, with its folder logs
      read by Dockerfile:3 [2/2] COPY . /

    logs/x: left out: .dockerignore:2 *.log leaves it out, with its folder logs

    logs/x: in the context: no rule names it
      read by nobody

    logs/x: not there, and would be left out: .dockerignore:2 *.log leaves it out, with its folder logs

    logs/x: not there: no rule names it
    "
  `);
});
