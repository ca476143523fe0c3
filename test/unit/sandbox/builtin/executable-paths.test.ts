import { expect, test } from "vitest";
import { executablePaths } from "../../../../src/sandbox/builtin/executable-paths.ts";

test.each([
  ["/bin/x", ["/bin/x"]],
  ["./x", ["./x"]],
  ["a/x", ["a/x"]],
  ["", [""]],
  ["x", ["/one/x", "/two/x"]],
])("%j with a PATH of two", (command, expected) => {
  expect(executablePaths([command, "argument"], ["PATH=/one:/two", "HOME=/"])).toEqual(expected);
});

test("an empty entry of PATH is the working directory", () => {
  expect(executablePaths(["x"], ["PATH=/one::/two"])).toEqual(["/one/x", "./x", "/two/x"]);
  expect(executablePaths(["x"], ["PATH="])).toEqual(["./x"]);
});

test("the last PATH counts, none means the usual places", () => {
  expect(executablePaths(["x"], ["PATH=/one", "XPATH=/no", "PATH=/two"])).toEqual(["/two/x"]);
  expect(executablePaths(["x"], [])).toContain("/usr/bin/x");
});
