import { expect, test } from "vitest";
import { choosePlatforms } from "../../../src/api/build/choose-platforms.ts";
import {
  formatPlatform,
  hostPlatform,
  isKnownPlatform,
  parsePlatform,
} from "../../../src/core/index.ts";

const host = formatPlatform(hostPlatform());
const chosen = (platforms: readonly string[], ...buildArgs: string[]) => {
  const { platforms: found, isIndex, isRequested } = choosePlatforms({ platforms, buildArgs });
  return { found: found.map(formatPlatform), isIndex, isRequested };
};

test("commas and repeated flags name platforms, each once and in order", () => {
  expect(chosen(["linux/arm64,linux/arm", "linux/aarch64", " linux/386 "])).toEqual({
    ...{ found: ["linux/arm64", "linux/arm/v7", "linux/386"], isIndex: true, isRequested: true },
  });
});

test("this machine's platform is the default, and is called local", () => {
  expect(chosen([])).toEqual({ found: [host], isIndex: false, isRequested: false });
  expect(chosen(["local"])).toEqual({ found: [host], isIndex: false, isRequested: true });
  expect(chosen([`local,${host}`]).found).toEqual([host]);
});

test("BUILDKIT_MULTI_PLATFORM makes an index of one platform [7.6]", () => {
  expect(chosen([], "BUILDKIT_MULTI_PLATFORM=1").isIndex).toBe(true);
  expect(chosen([], "BUILDKIT_MULTI_PLATFORM=false").isIndex).toBe(false);
  expect(chosen([], "BUILDKIT_MULTI_PLATFORM=").isIndex).toBe(false);
  expect(() => chosen([], "BUILDKIT_MULTI_PLATFORM=many")).toThrow(
    expect.objectContaining({ code: "USAGE" }),
  );
  expect(() => chosen(["linux/amd64,linux/arm64"], "BUILDKIT_MULTI_PLATFORM=0")).toThrow(
    expect.objectContaining({ code: "USAGE" }),
  );
});

test("what nobody has heard of is told from what is rare", () => {
  expect(isKnownPlatform(parsePlatform("linux/foo"))).toBe(false);
  expect(isKnownPlatform(parsePlatform("moon/amd64"))).toBe(false);
  for (const text of ["linux/loong64", "windows/amd64", "linux/arm/v5", "freebsd/riscv64"])
    expect(isKnownPlatform(parsePlatform(text)), text).toBe(true);
  expect(() => chosen(["linux/amd64/v1/x"])).toThrow(
    expect.objectContaining({ code: "PLATFORM_INVALID" }),
  );
});
