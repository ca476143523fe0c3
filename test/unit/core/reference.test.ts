import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  familiarReference,
  formatReference,
  isTsbuildError,
  parseReference,
  withDefaultTag,
} from "../../../src/core/index.ts";

const hex = "0123456789abcdef".repeat(4);
const digest = `sha256:${hex}`;

describe("names are normalised", () => {
  test.each([
    ["app", "docker.io/library/app"],
    ["app:1.0", "docker.io/library/app:1.0"],
    ["team/app", "docker.io/team/app"],
    ["docker.io/ubuntu", "docker.io/library/ubuntu"],
    ["index.docker.io/ubuntu", "docker.io/library/ubuntu"],
    ["index.docker.io/team/app", "docker.io/team/app"],
    ["localhost/app", "localhost/app"],
    ["localhost", "docker.io/library/localhost"],
    ["example.com", "docker.io/library/example.com"],
    ["localhost:5000", "docker.io/library/localhost:5000"],
    ["localhost:5000/app", "localhost:5000/app"],
    ["127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x"],
    ["[::1]:5000/app", "[::1]:5000/app"],
    ["Registry/app", "Registry/app"],
    ["ghcr.io/app", "ghcr.io/app"],
    ["a__b/c--d.e_f", "docker.io/a__b/c--d.e_f"],
    [`app@${digest}`, `docker.io/library/app@${digest}`],
    [`app:1.0@${digest}`, `docker.io/library/app:1.0@${digest}`],
    ["app:_x", "docker.io/library/app:_x"],
    [`app:${"t".repeat(128)}`, `docker.io/library/app:${"t".repeat(128)}`],
    [`host.io/${"a".repeat(255)}`, `host.io/${"a".repeat(255)}`],
    [`library/${hex}`, `docker.io/library/${hex}`],
  ])("%s [R1.1, R1.2, R1.3]", (text, expected) => {
    expect(formatReference(parseReference(text))).toBe(expected);
  });
});

describe("invalid names are refused", () => {
  test.each([
    [""],
    [hex],
    ["App"],
    ["team/App"],
    ["app:"],
    ["app:-x"],
    [`app:${"t".repeat(129)}`],
    ["app@sha256:abc"],
    [`app@sha256:${hex.toUpperCase()}`],
    [`app@md5:${hex}`],
    ["a//b"],
    ["/app"],
    ["app/"],
    ["-app"],
    ["a___b"],
    ["app name"],
    ["[fe80::1%eth0]:5000/app"],
    ["host-.io/app"],
    ["host:port/app"],
    [`host.io/${"a".repeat(256)}`],
    ["https://example.com/app"],
    [`app@${digest}@${digest}`],
  ])("%j [R1.1, R1.3, R1.4, R1.7]", (text) => {
    expect(codeOf(() => parseReference(text))).toBe("REFERENCE_INVALID");
  });

  test("an upper-case path is told in its lower-case spelling [R1.4]", () => {
    expect(hintOf(() => parseReference("host.io/Team/App"))).toContain('"team/app"');
    expect(hintOf(() => parseReference("Ubuntu:22.04"))).toContain('"ubuntu"');
  });
});

describe("familiar form", () => {
  test.each([
    ["docker.io/library/app:1.0", "app:1.0"],
    ["docker.io/team/app", "team/app"],
    ["ghcr.io/team/app:x", "ghcr.io/team/app:x"],
    ["docker.io/localhost/app", "docker.io/localhost/app"],
    ["docker.io/library/a/b", "library/a/b"],
    [`library/${hex}`, `library/${hex}`],
  ])("%s [R1.5]", (text, expected) => {
    expect(familiarReference(parseReference(text))).toBe(expected);
  });

  test("parses back to the same reference", () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}$/);
    const domain = fc.constantFrom("docker.io", "localhost", "host.io:5000", "Host", "[::1]:80");
    const tag = fc.option(fc.stringMatching(/^\w[\w.-]{0,5}$/), { nil: undefined });
    const path = fc.array(component, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(domain, path, tag, fc.boolean(), (host, parts, label, pinned) => {
        const suffix = (label === undefined ? "" : `:${label}`) + (pinned ? `@${digest}` : "");
        const reference = parseReference(`${host}/${parts.join("/")}${suffix}`);
        expect(parseReference(familiarReference(reference))).toEqual(reference);
        expect(parseReference(formatReference(reference))).toEqual(reference);
      }),
      { numRuns: 300 },
    );
  });
});

test("latest is the default of a name without tag and digest only [R1.5]", () => {
  expect(withDefaultTag(parseReference("app")).tag).toBe("latest");
  expect(withDefaultTag(parseReference("app:1")).tag).toBe("1");
  expect(withDefaultTag(parseReference(`app@${digest}`)).tag).toBeUndefined();
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return isTsbuildError(error) ? error.code : String(error);
  }
  return undefined;
}

function hintOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return isTsbuildError(error) ? error.hint : undefined;
  }
  return undefined;
}
