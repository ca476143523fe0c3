import { expect, test } from "vitest";
import { printError } from "../../../src/cli/print-error.ts";
import { TsbuildError, type TsbuildErrorOptions } from "../../../src/core/index.ts";

function printed(
  error: unknown,
  options: { readonly debug?: boolean; readonly isTTY?: boolean; readonly color?: boolean } = {},
): string {
  let text = "";
  printError(error, {
    stream: { isTTY: options.isTTY ?? false, write: (part) => (text += part) },
    debug: options.debug ?? false,
    color: options.color ?? false,
  });
  return text;
}

const failure: TsbuildErrorOptions<string> = {
  code: "BUILD_RUN_FAILED",
  message: 'process "/bin/sh -c make" failed: exit code: 2',
  hint: "look above",
};

test("message, code and hint", () => {
  expect(printed(new TsbuildError(failure))).toBe(
    `tsbuild: process "/bin/sh -c make" failed: exit code: 2 [BUILD_RUN_FAILED]
hint: look above
`,
  );
});

test("the line of the Dockerfile is marked, after the output of the failed step", () => {
  const error = new TsbuildError({
    ...failure,
    location: { file: "Dockerfile", line: 3, column: 1, length: 8 },
    details: {
      source: "FROM alpine\n\nRUN make\nRUN other\n",
      outputTail: `${Array.from({ length: 30 }, (_, index) => `line ${String(index)}`).join("\n")}\n`,
    },
  });
  const text = printed(error);
  expect(text).toMatch(/^------\nline 10\n(line \d+\n){19}------\nDockerfile:3:1\n/);
  expect(text).toMatch(/\n *3 \| >>> RUN make\n/);
  expect(text).toMatch(/\n *4 \| +RUN other\n/);
  expect(text).toMatch(/\ntsbuild: process .* \[BUILD_RUN_FAILED\]\nhint: look above\n$/);
});

test("place with column, and the faulty word underlined [1.10]", () => {
  const error = new TsbuildError({
    code: "DOCKERFILE_FLAG_UNKNOWN",
    message: "dockerfile parse error on line 2: unknown flag: --frm",
    location: { file: "Dockerfile", line: 2, column: 6, length: 9 },
    details: { source: "FROM alpine\nCOPY --frm=x a b\n" },
  });
  expect(printed(error)).toBe(`Dockerfile:2:6
   1 |     FROM alpine
   2 | >>> COPY --frm=x a b
     |          ^^^^^^^^^
tsbuild: dockerfile parse error on line 2: unknown flag: --frm [DOCKERFILE_FLAG_UNKNOWN]
`);
});

test("without the file's text, its place is told", () => {
  const location = { file: "Dockerfile", line: 3, column: 1 };
  expect(printed(new TsbuildError({ ...failure, location }))).toMatch(/^Dockerfile:3:1\ntsbuild: /);
});

test("causes are told once, shortly", () => {
  const errno = new Error("ENOENT: no such file or directory, open '/x'");
  const middle = new Error(failure.message, { cause: errno });
  const text = printed(new TsbuildError({ ...failure, hint: undefined, cause: middle }));
  expect(text.split("\n")).toEqual([
    `tsbuild: ${failure.message} [BUILD_RUN_FAILED]`,
    "  because: ENOENT: no such file or directory, open '/x'",
    "",
  ]);
});

test("stacks are for --debug only", () => {
  const error = new TsbuildError({ ...failure, cause: new Error("deep") });
  expect(printed(error)).not.toMatch(/\n +at /);
  expect(printed(error, { debug: true })).toMatch(/\n +at .*\ncaused by:\nError: deep\n +at /s);
});

test("an error that is none of ours is a defect", () => {
  const text = printed(new TypeError("x is not a function"));
  expect(text).toMatch(
    /^tsbuild: internal error: TypeError: x is not a function \[INTERNAL\]\nhint: .*--debug/,
  );
  expect(text).not.toMatch(/\n +at /);
  expect(printed(new TypeError("x"), { debug: true })).toMatch(/\n +at /);
  expect(printed("thrown text")).toContain("internal error: thrown text");
});

test("too many open files are no defect", () => {
  const text = printed(
    Object.assign(new Error("EMFILE: too many"), { code: "EMFILE", syscall: "open" }),
  );
  expect(text).toContain("hint: raise the limit of open files: ulimit -n");
  expect(text).not.toContain("defect");
});

test("an abort is no defect", () => {
  expect(printed(AbortSignal.abort().reason)).toBe("tsbuild: canceled [CANCELED]\n");
});

test("what a step wrote cannot move the terminal's cursor", () => {
  const details = { outputTail: "\u001b[2Jgone\u001b[31mred\n" };
  const error = new TsbuildError({ ...failure, details });
  expect(printed(error, { isTTY: true })).toContain("------\ngonered\n------\n");
  expect(printed(error, { isTTY: true, color: true })).toContain("\ngone\u001b[31mred\u001b[0m\n");
});

test("a cancelation says nothing of its cause", () => {
  const cause = new Error("This operation was aborted");
  const error = new TsbuildError({ code: "CANCELED", message: "build", cause });
  expect(printed(error)).toBe("tsbuild: build [CANCELED]\n");
});
