import { expect, test } from "vitest";
import { matchSteps } from "../../../../src/build/explain/match-steps.ts";

test.each<[string, readonly string[], readonly string[], readonly (number | undefined)[]]>([
  ["nothing changed", ["[1/2] A", "[2/2] B"], ["[1/2] A", "[2/2] B"], [0, 1]],
  [
    "one more in the middle",
    ["[1/2] A", "[2/2] B"],
    ["[1/3] A", "[2/3] X", "[3/3] B"],
    [0, undefined, 1],
  ],
  ["one more in front", ["[1/1] A"], ["[1/2] X", "[2/2] A"], [undefined, 0]],
  ["one less", ["[1/3] A", "[2/3] B", "[3/3] C"], ["[1/2] A", "[2/2] C"], [0, 2]],
  ["one changed", ["[1/3] A", "[2/3] B", "[3/3] C"], ["[1/3] A", "[2/3] X", "[3/3] C"], [0, 1, 2]],
  [
    "one changed and one more",
    ["[1/2] A", "[2/2] B"],
    ["[1/3] A", "[2/3] X", "[3/3] Y"],
    [0, 1, undefined],
  ],
  ["all changed", ["[1/2] A", "[2/2] B"], ["[1/2] X", "[2/2] Y"], [0, 1]],
  [
    "the same text twice",
    ["[1/2] A", "[2/2] A"],
    ["[1/3] A", "[2/3] A", "[3/3] A"],
    [0, 1, undefined],
  ],
  ["stages apart", ["[a 1/1] A", "[b 1/1] A"], ["[b 1/1] A", "[a 1/1] A"], [1, 0]],
  ["a stage more", ["[b 1/1] A"], ["[a 1/1] A", "[b 1/1] A"], [undefined, 0]],
  ["padded numbers", ["[ 1/10] A"], ["[1/9] A"], [0]],
  ["platforms apart", ["[linux/amd64 a 1/1] A"], ["[linux/arm64 a 1/1] A"], [undefined]],
  ["names without a number", ["[internal] x", "[internal] y"], ["[internal] y"], [1]],
  ["nothing before", [], ["[1/1] A"], [undefined]],
  ["several lines", ["[1/1] RUN <<E\nx\nE"], ["[1/1] RUN <<E\nx\nE"], [0]],
])("%s", (_what, previous, current, expected) => {
  expect(matchSteps(previous, current)).toEqual(expected);
});

test("two long lists without anything in common are paired as they come", () => {
  const list = (word: string) =>
    Array.from({ length: 3000 }, (_, index) => `[1/1] ${word} ${String(index)}`);
  const matches = matchSteps(list("a"), list("b"));
  expect(matches).toEqual(Array.from({ length: 3000 }, (_, index) => index));
});
