import { expect, test } from "vitest";
import { formatDuration, formatQuotedList, parseDuration } from "../../../src/plan/text-formats.ts";

test.each([
  ["0", 0],
  ["5s", 5e9],
  ["1m30s", 90e9],
  ["1.5h", 5400e9],
  [".5ms", 500_000],
  ["1h2m3.25s", 3_723_250_000_000],
  ["100us", 100_000],
  ["7ns", 7],
  ["-1s", -1e9],
])("%s is a duration", (text, nanoseconds) => {
  expect(parseDuration(text)).toBe(nanoseconds);
});

test.each(["", "5", "s", "1 s", "1s ", "1d", "1m30", "--1s", "1..s"])("%j is none", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each(["0s", "7ns", "1.5µs", "100ms", "1.5s", "1m0s", "1m30s", "2h0m0.5s"])(
  "%s is written as it was read",
  (text) => {
    expect(formatDuration(parseDuration(text) ?? -1)).toBe(text);
  },
);

test("strings are quoted as the history of images has them", () => {
  expect(formatQuotedList([])).toBe("[]");
  expect(formatQuotedList(['a "b"', "\\n\n\t", "é☃", "\x00\x7f\u200b\u00a0"])).toBe(
    '["a \\"b\\"" "\\\\n\\n\\t" "é☃" "\\x00\\x7f\\u200b\\u00a0"]',
  );
});
