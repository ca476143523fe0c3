import { expect, test } from "vitest";
import { parseDuration } from "../../../src/dockerfile/duration.ts";

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

test.each(["", "5", "s", "1 s", "1s ", "1d", "1m30", "--1s", "1..s", "2562048h"])(
  "%j is none",
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);
