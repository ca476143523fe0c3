import { expect, test } from "vitest";
import { renderExcerpt } from "../../../src/core/index.ts";

const lines = ["FROM debian", "", "RUN one \\", "\ttwo --x", "RUN three", "CMD four"];

function rows(text: string): string[] {
  return text.split("\n").slice(1, -1);
}

test("begins with the place and ends with a line feed", () => {
  const text = renderExcerpt(lines, { file: "Dockerfile", line: 3, column: 1, endLine: 4 });
  expect(text.split("\n")[0]).toBe("Dockerfile:3:1");
  expect(text.endsWith("\n")).toBe(true);
});

test("shows two lines around the marked range", () => {
  const text = renderExcerpt(lines, { file: "D", line: 4, column: 1, endLine: 4 });
  expect(rows(text).map((row) => [row.includes(">>>"), row.trim().split(" ")[0]])).toEqual([
    [false, "2"],
    [false, "3"],
    [true, "4"],
    [false, "5"],
    [false, "6"],
  ]);
});

test("stays inside the file", () => {
  expect(rows(renderExcerpt(lines, { file: "D", line: 1, column: 1 }))).toHaveLength(3);
  expect(rows(renderExcerpt(lines, { file: "D", line: 99, column: 1, endLine: 200 }))).toHaveLength(
    3,
  );
  expect(rows(renderExcerpt([], { file: "D", line: 1, column: 1 }))).toHaveLength(1);
});

test("underlines a part of a line, with the line's own tabs before it", () => {
  const text = renderExcerpt(lines, { file: "D", line: 4, column: 6, length: 3 });
  const marked = rows(text).findIndex((row) => row.includes(">>>"));
  const below = rows(text)[marked + 1] ?? "";
  expect(below.endsWith("\t    ^^^")).toBe(true);
});

test("leaves out the middle of a long range", () => {
  const many = Array.from({ length: 100 }, (_, index) => `line ${String(index + 1)}`);
  const text = renderExcerpt(many, { file: "D", line: 10, column: 1, endLine: 90 });
  expect(rows(text).length).toBeLessThan(20);
  expect(text).toContain("line 10\n");
  expect(text).toContain("line 90\n");
  expect(text).toContain("...");
});

test("an underlined part that reaches beyond the line ends with it", () => {
  const text = renderExcerpt(lines, { file: "D", line: 5, column: 5, length: 99 });
  expect(text).toContain("\n      |         ^^^^^\n".replace("      |", "     |"));
});

test("of a very long line the part around the mark is shown", () => {
  const long = `RUN ${"x".repeat(1000)} --bad ${"y".repeat(1000)}`;
  const rows = renderExcerpt([long], { file: "D", line: 1, column: 1006, length: 5 }).split("\n");
  const [, shown = "", marks = ""] = rows;
  expect(shown.length).toBeLessThan(320);
  expect(shown.slice(marks.indexOf("^"), marks.lastIndexOf("^") + 1)).toBe("--bad");
});

test("users and passwords of URLs are not shown, and the mark stays below what it marks", () => {
  const line = "ADD https://user:geheim@host/x /nowhere";
  const text = renderExcerpt([line], { file: "D", line: 1, column: 32, length: 8 });
  expect(text.split("\n").slice(1, 3)).toEqual([
    "   1 | >>> ADD https://xxxxxxxxxxx@host/x /nowhere",
    "     |     " + "^^^^^^^^".padStart(39),
  ]);
});
