import { describe, expect, test } from "vitest";
import { parsePlace } from "../../../../src/api/places/parse-place.ts";

describe("parsePlace", () => {
  test.for([
    ["app:1", { type: "store", name: "app:1" }],
    ["docker.io/library/oci:1", { type: "store", name: "docker.io/library/oci:1" }],
    ["docker:1", { type: "store", name: "docker:1" }],
    ["oci:dir", { type: "layout", path: "dir" }],
    ["oci:/a/dir:1.0", { type: "layout", path: "/a/dir", ref: "1.0" }],
    ["oci:dir:host:5000/app:1", { type: "layout", path: "dir", ref: "host:5000/app:1" }],
    ["ocidir://dir:1", { type: "layout", path: "dir", ref: "1" }],
    ["oci-archive:-:x", { type: "oci-archive", path: "-", ref: "x" }],
    ["docker-archive:a.tar:app:1", { type: "docker-archive", path: "a.tar", ref: "app:1" }],
    ["docker-archive:a.tar:@3", { type: "docker-archive", path: "a.tar", number: 3 }],
    ["dir:/a:b", { type: "directory", path: "/a:b" }],
  ] as const)("%s [R10.1]", ([text, expected]) => {
    expect(parsePlace(text)).toEqual({ ...expected, text });
  });

  test("a registry's image has a tag or a digest [R10.1]", () => {
    expect(parsePlace("docker://app")).toEqual({
      ...{ type: "registry", text: "docker://app" },
      reference: { domain: "docker.io", path: "library/app", tag: "latest" },
    });
  });

  test.for(["foo://x", "https://host/app", "docker-daemon:app:1", "containers-storage:app"])(
    "%s is no place here, and no name either [R10.1]",
    (text) => {
      const known = expect.stringMatching(/oci:DIR|docker-archive:FILE/) as unknown;
      expect(() => parsePlace(text)).toThrow(
        expect.objectContaining({ code: "USAGE", hint: known }),
      );
    },
  );

  test.for(["oci:", "docker://", "oci-archive::x", "oci:dir:", "docker-archive:a.tar:@x"])(
    "%s is refused",
    (text) => {
      expect(() => parsePlace(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
    },
  );
});
