import { expect, test } from "vitest";
import { parseDuration } from "../../../src/dockerfile/duration.ts";
import { formatDuration, formatQuotedList } from "../../../src/plan/text-formats.ts";

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
