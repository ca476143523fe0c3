import { expect, test } from "vitest";
import {
  nameLayersRelatively,
  overlayOptionString,
} from "../../../../src/sandbox/builtin/overlay-options.ts";

const options = [["index", "off"], ["volatile"]] as const;

test("names are relative to the nearest directory above all of them", () => {
  const named = nameLayersRelatively({
    lower: ["/var/lib/s/1/fs", "/var/lib/s/22/fs"],
    writable: { upper: "/var/lib/s/3/fs", work: "/var/lib/s/3/work" },
    interface: "string",
  });
  expect(named).toEqual({
    parent: "/var/lib/s",
    layers: { lower: ["1/fs", "22/fs"], writable: { upper: "3/fs", work: "3/work" } },
  });
  expect(overlayOptionString({ layers: named.layers, options })).toBe(
    "lowerdir=1/fs:22/fs,upperdir=3/fs,workdir=3/work,index=off,volatile",
  );
});

test("directories with nothing in common are named from the root", () => {
  expect(nameLayersRelatively({ lower: ["/a/b", "/c"], interface: "string" })).toMatchObject({
    parent: "/",
    layers: { lower: ["a/b", "c"] },
  });
});

test("a layer that lies beside the parent's end is not cut in the middle of a name", () => {
  expect(nameLayersRelatively({ lower: ["/s/ab/fs", "/s/ac/fs"], interface: "string" })).toEqual({
    parent: "/s",
    layers: { lower: ["ab/fs", "ac/fs"], writable: undefined },
  });
});

test("characters that part options or layers lose their meaning", () => {
  const layers = { lower: ["a:b", "c,d", "e\\f"], writable: { upper: "u:v,w", work: "x" } };
  expect(overlayOptionString({ layers, options: [] })).toBe(
    "lowerdir=a\\:b:c\\,d:e\\\\f,upperdir=u:v\\,w,workdir=x",
  );
});

test("more than a page is refused, not cut off", () => {
  const lower = Array.from({ length: 1000 }, (_, i) => `${i}/fs`);
  expect(() => overlayOptionString({ layers: { lower }, options })).toThrow(
    expect.objectContaining({ code: "SANDBOX_MOUNT_FAILED" }),
  );
});
