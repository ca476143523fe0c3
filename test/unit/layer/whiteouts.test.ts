import { describe, expect, test } from "vitest";
import {
  opaqueWhiteoutName,
  parseTarName,
  toRootPath,
  whiteoutName,
} from "../../../src/layer/index.ts";

describe("parseTarName", () => {
  test.each([
    ["a/b", "entry", "a/b"],
    ["", "entry", ""],
    ["a/.wh.b", "whiteout", "a/b"],
    [".wh.b", "whiteout", "b"],
    ["a/.wh..wh..opq", "opaque", "a"],
    [".wh..wh..opq", "opaque", ""],
    [".wh..wh.plnk", "ignored", ".wh..wh.plnk"],
    [".wh..wh.plnk/12.34", "ignored", ".wh..wh.plnk/12.34"],
    ["a/.why", "entry", "a/.why"],
    ["a/x.wh.b", "entry", "a/x.wh.b"],
  ])("%j is %s of %j", (name, type, path) => {
    expect(parseTarName(toRootPath(name))).toEqual({ type, path: Buffer.from(path) });
  });

  test.each(["a/.wh.", "a/.wh..", "a/.wh..."])("%j removes nothing that exists", (name) => {
    expect(() => parseTarName(toRootPath(name))).toThrow(
      expect.objectContaining({ code: "LAYER_PATH_INVALID" }),
    );
  });
});

test("names come back", () => {
  for (const path of ["a", "a/b/c"]) {
    expect(parseTarName(whiteoutName(Buffer.from(path)))).toEqual({
      type: "whiteout",
      path: Buffer.from(path),
    });
  }
  expect(parseTarName(opaqueWhiteoutName(Buffer.from("")))).toEqual({
    type: "opaque",
    path: Buffer.from(""),
  });
});
