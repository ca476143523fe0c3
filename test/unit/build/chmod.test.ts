import { describe, expect, test } from "vitest";
import { parseMode } from "../../../src/build/chmod.ts";

describe("octal", () => {
  test.each([
    ["644", 0o644],
    ["0755", 0o755],
    ["4755", 0o4755],
    ["0", 0],
  ])("%s replaces the mode and is told as such", (text, expected) => {
    const mode = parseMode(text);
    expect(mode.apply(0o600, false)).toBe(expected);
    expect(mode.octal).toBe(expected);
  });

  test.each(["64a", "8", "17777", "", "u", "rwx", "u~x", "a=q", "u+x,", ",u+x", "+x 644"])(
    "%j is refused",
    (text) => {
      expect(() => parseMode(text)).toThrow(
        expect.objectContaining({ code: "BUILD_COPY_MODE_INVALID" }),
      );
    },
  );
});

describe("symbolic, as the chmod of BSD with umask 0 would [3.59]", () => {
  // [clauses, mode before, is a directory, mode after]
  test.each<[string, number, boolean, number]>([
    ["u=rwX,go=rX", 0o600, false, 0o644],
    ["u=rwX,go=rX", 0o700, false, 0o755],
    ["u=rwX,go=rX", 0o600, true, 0o755],
    ["+x", 0o644, false, 0o755],
    ["a-w", 0o666, false, 0o444],
    ["g=u", 0o640, false, 0o660],
    ["o=g", 0o640, false, 0o644],
    ["u+s", 0o755, false, 0o4755],
    ["g+s", 0o755, true, 0o2755],
    ["+t", 0o777, true, 0o1777],
    ["u+rw-x", 0o100, false, 0o600],
    ["go=", 0o777, false, 0o700],
    ["u=rw", 0o4755, false, 0o655],
    ["u=rwx", 0o4755, true, 0o755],
    ["g=rx", 0o2775, true, 0o755],
    ["=rx", 0o7777, true, 0o1555],
    ["a=rwx", 0o1700, true, 0o1777],
    ["g=u", 0o6740, false, 0o6770],
    ["g=u", 0o2740, true, 0o2770],
    ["go+u", 0o640, false, 0o666],
    ["o-g", 0o667, false, 0o661],
    ["a-x,+X", 0o744, false, 0o755],
    ["a-x,+X", 0o644, false, 0o644],
    ["u+x,go+X", 0o600, false, 0o700],
    ["a-X", 0o755, false, 0o644],
    ["=rw,+X", 0o755, false, 0o777],
    ["o+s", 0o755, false, 0o755],
    ["+s", 0o755, false, 0o6755],
    ["o+t", 0o755, true, 0o755],
    ["u=rwxt", 0o755, true, 0o1755],
    ["g=or", 0o701, false, 0o741],
    ["u=", 0o6755, false, 0o2055],
    ["=", 0o7777, false, 0o1000],
    ["ug+w-x", 0o755, false, 0o665],
    ["g=u-w", 0o700, false, 0o750],
  ])("%s on %o (directory: %s)", (text, before, isDirectory, after) => {
    const mode = parseMode(text);
    expect(mode.octal).toBeUndefined();
    expect(mode.apply(before, isDirectory)).toBe(after);
  });
});
