import { expect, test } from "vitest";
import { parseVolume } from "../../../src/runtime/volumes.ts";

test.each([
  ["/a:/b", { source: "/a", target: "/b", readOnly: false }],
  ["/a:/b:ro", { source: "/a", target: "/b", readOnly: true }],
  ["/a:/b:rw,z", { source: "/a", target: "/b", readOnly: false }],
])("%s", (text, expected) => {
  expect(parseVolume(text)).toEqual(expected);
});

test("a relative path counts from the working directory", () => {
  expect(parseVolume("./x:/b").source).toBe(`${process.cwd()}/x`);
});

test.each(["", "/a", "/a:b", "/a:/", "/a:/b:what", "/a:/b:ro:x", "name:/b"])(
  "%j is refused",
  (text) => {
    expect(() => parseVolume(text)).toThrow(
      expect.objectContaining({ code: "RUNTIME_VOLUME_INVALID" }),
    );
  },
);
