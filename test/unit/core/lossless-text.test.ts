import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { losslessBytes, losslessText } from "../../../src/core/index.ts";

describe("lossless text", () => {
  test.each([
    ["plain", "plain"],
    ["größe 😀", "größe 😀"],
    ["\ufffd stands there", "\ufffd stands there"],
  ])("is the text itself where the bytes are UTF-8: %s", (text, expected) => {
    expect(losslessText(Buffer.from(text))).toBe(expected);
  });

  test("different broken bytes are different characters", () => {
    expect(losslessText(Buffer.from("a\xff\xfe", "latin1"))).toBe("a\udcff\udcfe");
    expect(losslessText(Buffer.from("😀\ufffd\x80".slice(0, 3)))).toBe("😀\ufffd");
  });

  test("all bytes come back", () => {
    const some = fc.oneof(fc.uint8Array(), fc.string({ unit: "binary" }).map(Buffer.from));
    fc.assert(
      fc.property(some, (bytes) => {
        expect(losslessBytes(losslessText(Buffer.from(bytes)))).toEqual(Buffer.from(bytes));
      }),
    );
    // What a lone surrogate would be in UTF-8 is none.
    const surrogate = Buffer.from("f09f9880edb280", "hex");
    expect(losslessBytes(losslessText(surrogate))).toEqual(surrogate);
  });
});
