import { expect, test } from "vitest";
import { parseSpan } from "../../../src/core/index.ts";

test.each([
  ["90s", 90_000],
  ["1h30m", 5_400_000],
  ["1.5d", 129_600_000],
  ["2w", 1_209_600_000],
  ["30D", 2_592_000_000],
])("%s is %i ms", (text, expected) => {
  expect(parseSpan(text)).toBe(expected);
});

test.each(["", "30", "d", "-1d", "1y", "1 d", "1d!", "99999999999999999w"])(
  "%j is no span",
  (text) => {
    expect(parseSpan(text)).toBeUndefined();
  },
);
