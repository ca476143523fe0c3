import { expect, test } from "vitest";
import { formatAge, formatSize, formatTable } from "../../../src/cli/table.ts";

test("columns are as wide as their widest cell", () => {
  expect(
    formatTable(
      ["A", "NAME"],
      [
        ["long cell", "x"],
        ["1", "y"],
      ],
    ),
  ).toBe("A           NAME\nlong cell   x\n1           y\n");
});

test("a cell stays on its line and cannot control the terminal", () => {
  const table = formatTable(["A", "B"], [["RUN <<E\nls\tx\u001b[31m", "\u009bx"]]);
  expect(table).toBe(`${"A".padEnd(20)}B\nRUN <<E ls x [31m    x\n`);
});

test("a time that is none is not available", () => {
  expect(formatAge("yesterday", new Date())).toBe("N/A");
  expect(formatAge(undefined, new Date())).toBe("N/A");
});

test.each([
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [4_262_000, "4.26MB"],
  [117_000_000, "117MB"],
  [1_500_000_000, "1.5GB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  ["2026-01-01T00:00:00Z", "Less than a second ago"],
  ["2025-12-31T23:59:30Z", "30 seconds ago"],
  ["2025-12-31T23:59:00Z", "About a minute ago"],
  ["2025-12-31T23:15:00Z", "45 minutes ago"],
  ["2025-12-31T23:00:00Z", "About an hour ago"],
  ["2025-12-31T00:00:00Z", "24 hours ago"],
  ["2025-12-25T00:00:00Z", "7 days ago"],
  ["2025-12-01T00:00:00Z", "4 weeks ago"],
  ["2025-09-01T00:00:00Z", "4 months ago"],
  ["1970-01-01T00:00:00Z", "56 years ago"],
])("%s is %s", (time, text) => {
  expect(formatAge(time, new Date("2026-01-01T00:00:00Z"))).toBe(text);
});
