import { expect, test } from "vitest";
import {
  displayWidth,
  sanitiseLine,
  truncate,
} from "../../../../src/cli/progress/terminal-text.ts";

test.each([
  ["plain", "plain"],
  ["up\u001b[2Athere", "upthere"],
  ["clear\u001b[2J\u001b[H", "clear"],
  ["alt\u001b[?1049h", "alt"],
  ["title\u001b]0;owned\u0007done", "titledone"],
  ["link\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\", "linktext"],
  ["open title\u001b]0;never ends", "open title"],
  ["answer\u001b[c\u001bP$q q\u001b\\", "answer"],
  ["reset\u001bc", "reset"],
  ["bell\u0007\b\u007f\u0000", "bell"],
  ["c1\u009b2Aafter", "c12Aafter"],
  ["half\u001b[", "half"],
  ["half\u001b", "half"],
  ["10%\r50%\r100%", "100%"],
  ["done\r", "done"],
  ["a\tb", "a       b"],
  ["12345678\tb", "12345678        b"],
])("%j becomes %j", (line, expected) => {
  expect(sanitiseLine(line, { color: false })).toBe(expected);
});

test("colours stay where they are wanted, and end with the line", () => {
  const line = "\u001b[1;31mred\u001b[K\u001b[5C";
  expect(sanitiseLine(line, { color: true })).toBe("\u001b[1;31mred\u001b[0m");
  expect(sanitiseLine(line, { color: false })).toBe("red");
});

test.each([
  ["abc", 3],
  ["äöü", 3],
  ["a\u0308", 1],
  ["日本", 4],
  ["😀", 2],
  ["👩\u200d💻", 4],
  ["\u001b[31mred\u001b[39m", 3],
])("%j takes %i columns", (text, width) => {
  expect(displayWidth(text)).toBe(width);
});

test.each([
  ["abcdef", 6, "abcdef"],
  ["abcdef", 5, "abcd…"],
  ["日本語", 5, "日本…"],
  ["日本語", 4, "日…"],
  ["abc", 1, "…"],
  ["abc", 0, ""],
  ["\u001b[31mabcdef\u001b[39m", 4, "\u001b[31mabc…\u001b[0m"],
  ["ab\u001b[31mcd\u001b[39m", 4, "ab\u001b[31mcd\u001b[39m"],
])("%j cut to %i columns is %j", (text, columns, expected) => {
  expect(truncate(text, columns)).toBe(expected);
});
