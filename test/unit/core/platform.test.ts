import { describe, expect, test } from "vitest";
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  isTsbuildError,
  matchPlatform,
  parsePlatform,
} from "../../../src/core/index.ts";

describe("parse and normalise [R5.1, R5.2]", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["Linux/x86-64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/v8.0", "linux/arm64"],
    ["linux/arm64/9", "linux/arm64/v9"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/6", "linux/arm/v6"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i386", "linux/386"],
    ["macos/arm64", "darwin/arm64"],
    ["windows(10.0.17763+win32k)/amd64", "windows(10.0.17763+win32k)/amd64"],
    ["linux(+b+a)/amd64", "linux(+a+b)/amd64"],
  ])("%s", (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected);
    expect(parsePlatform(expected)).toEqual(parsePlatform(text));
  });

  test("a lone word is a system if there is one of that name, else an architecture [R5.2]", () => {
    const host = hostPlatform();
    expect(parsePlatform("windows")).toEqual({ ...host, os: "windows" });
    expect(parsePlatform("aarch64")).toEqual({ os: host.os, architecture: "arm64" });
  });

  test.each(["", "/", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "teapot", "linux(/amd64"])(
    "%j is refused",
    (text) => {
      let thrown: unknown;
      try {
        parsePlatform(text);
      } catch (error) {
        thrown = error;
      }
      expect(isTsbuildError(thrown, "PLATFORM_INVALID")).toBe(true);
    },
  );
});

describe("choice [R5.3, R5.4]", () => {
  const choose = (wanted: string, candidates: readonly string[]): string | undefined => {
    const made = candidates.map((text) => ({ text, platform: parsePlatform(text) }));
    return choosePlatform(made, parsePlatform(wanted))?.text;
  };

  test.each([
    ["linux/amd64", ["linux/arm64", "linux/386", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/386"], "linux/386"],
    ["linux/amd64", ["linux/amd64/v2"], undefined],
    ["linux/arm64", ["linux/arm/v5", "linux/arm/v8", "linux/arm/v7"], "linux/arm/v8"],
    ["linux/amd64/v4", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], "linux/amd64/v3"],
    ["linux/amd64/v3", ["linux/amd64/v4", "linux/amd64"], "linux/amd64"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"],
    ["linux/arm/v6", ["linux/arm/v7"], undefined],
    ["linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64/v9.1", ["linux/arm64", "linux/arm64/v8.6"], "linux/arm64/v8.6"],
    ["linux/arm64/v9.1", ["linux/arm64/v8.6", "linux/arm64/v9"], "linux/arm64/v9"],
    ["linux/arm64/v8.2", ["linux/arm64/v9"], undefined],
    ["linux/amd64", ["linux/s390x"], undefined],
    ["linux/riscv64", ["linux/riscv64"], "linux/riscv64"],
    ["windows(10.0.17763.1)/amd64", ["windows(10.0.14393.9)/amd64"], undefined],
    ["windows(10.0.17763.1)/amd64", ["windows(10.0.17763.9)/amd64"], "windows(10.0.17763.9)/amd64"],
    ["linux/amd64", ["linux(+a)/amd64"], undefined],
    ["linux(+a)/amd64", ["linux/amd64", "linux(+a)/amd64", "linux(+a+b)/amd64"], "linux(+a)/amd64"],
  ])("%s of %j", (wanted, candidates, expected) => {
    expect(choose(wanted, candidates)).toBe(expected);
  });

  test("an entry of unknown platform, or of none, never matches", () => {
    const unknown = { os: "unknown", architecture: "unknown" };
    expect(choosePlatform([{ platform: unknown }, {}], hostPlatform())).toBeUndefined();
    expect(matchPlatform(unknown, hostPlatform())).toBe(false);
    expect(matchPlatform(hostPlatform(), hostPlatform())).toBe(true);
  });
});
