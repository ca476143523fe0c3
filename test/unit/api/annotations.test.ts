import { expect, test } from "vitest";
import { annotationsFor, parseAnnotation } from "../../../src/api/output/annotations.ts";

const said = [
  "manifest[linux/arm64]:who=arm64",
  "manifest:who=all",
  "manifest[linux/arm/v6]:old=yes",
  "index[linux/arm64]:of=index",
].flatMap(parseAnnotation);

test("what is said of one platform counts more, however its variant is spelled [R17.16]", () => {
  const target = "manifest";
  const arm64 = { os: "linux", architecture: "arm64" };
  for (const platform of [arm64, { ...arm64, variant: "v8" }]) {
    expect(annotationsFor(said, { target, platform })).toEqual({ who: "arm64" });
  }
  const arm = { os: "linux", architecture: "arm" };
  expect(annotationsFor(said, { target, platform: { ...arm, variant: "v7" } })).toEqual({
    who: "all",
  });
  expect(annotationsFor(said, { target, platform: { ...arm, variant: "v6" } })).toEqual({
    ...{ who: "all", old: "yes" },
  });
  expect(annotationsFor(said, { target })).toEqual({ who: "all" });
});

test("an index is for no platform", () => {
  expect(annotationsFor(said, { target: "index" })).toEqual({ of: "index" });
});
