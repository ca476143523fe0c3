import { expect, test } from "vitest";
import { cacheMountAccess } from "../../../src/api/cache-mounts/access.ts";
import { parseMountsPlace } from "../../../src/api/cache-mounts/place.ts";

test.each([
  ["docker://r.example/c:m", { type: "registry" }],
  ["r.example/c", { type: "registry", reference: { domain: "r.example", tag: "latest" } }],
  ["./d", { type: "layout", path: "./d", ref: "cache-mounts" }],
  ["../d", { type: "layout", path: "../d" }],
  [".", { type: "layout", path: "." }],
  ["/d:1", { type: "layout", path: "/d:1" }],
  ["oci:d", { type: "layout", path: "d", ref: "cache-mounts" }],
  ["oci:d:npm", { type: "layout", path: "d", ref: "npm" }],
  ["oci-archive:f.tar", { type: "oci-archive", path: "f.tar", ref: "cache-mounts" }],
])("cache mounts go to %s", (text, place) => {
  expect(parseMountsPlace(text)).toMatchObject(place);
});

test.each(["docker-archive:f.tar", "dir:d", "", "docker-daemon:x"])("not to %j", (text) => {
  expect(() => parseMountsPlace(text)).toThrow(expect.objectContaining({ name: "TsbuildError" }));
});

test("what is not said about caches is not taken for a no", () => {
  expect(cacheMountAccess({})).toBe("read-write");
  expect(cacheMountAccess({ TSBUILD_CACHE_MOUNTS: "read-only" })).toBe("read-only");
  expect(() => cacheMountAccess({ TSBUILD_CACHE_MOUNTS: "readonly" })).toThrow(
    expect.objectContaining({ code: "USAGE" }),
  );
});
