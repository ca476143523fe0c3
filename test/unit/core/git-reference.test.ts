import { describe, expect, test } from "vitest";
import {
  blotCredentials,
  blotTexts,
  hideCredentials,
  isTsbuildError,
  parseGitReference,
  parseGitRemote,
} from "../../../src/core/index.ts";

const hash = "0123456789abcdef0123456789abcdef01234567";

describe("parseGitReference [3.69]", () => {
  test.for<[string, ReturnType<typeof parseGitReference>]>([
    ["https://h.example/r.git", { remote: "https://h.example/r.git" }],
    ["http://h.example:8080/a/r.git#v1", { remote: "http://h.example:8080/a/r.git", ref: "v1" }],
    ["https://h.example/r.git#:sub/dir/", { remote: "https://h.example/r.git", subdir: "sub/dir" }],
    [
      "https://h.example/r.git#feature/x:../a/./b",
      { remote: "https://h.example/r.git", ref: "feature/x", subdir: "a/b" },
    ],
    [
      "https://user:p%40ss@h.example/r.git",
      { remote: "https://h.example/r.git", credentials: "user:p@ss" },
    ],
    ["git://h.example/r#main", { remote: "git://h.example/r", ref: "main" }],
    ["ssh://git@h.example:22/~/r", { remote: "ssh://git@h.example:22/~/r" }],
    [
      "git@h.example:team/r.git#v1:x",
      { remote: "git@h.example:team/r.git", ref: "v1", subdir: "x" },
    ],
    [
      "git@h.example:r?branch=main&subdir=x",
      { remote: "git@h.example:r", ref: "refs/heads/main", subdir: "x" },
    ],
    [
      `https://h.example/r.git?ref=v1&commit=${hash}`,
      { remote: "https://h.example/r.git", ref: "v1", checksum: hash },
    ],
    [
      "https://h.example/r.git?tag=v1&checksum=abc&keep-git-dir&submodules=0",
      {
        remote: "https://h.example/r.git",
        ref: "refs/tags/v1",
        checksum: "abc",
        keepGitDir: true,
        submodules: false,
      },
    ],
    [
      "https://h.example/r.git?mtime=commit&fetch-by-commit=true#main",
      { remote: "https://h.example/r.git", ref: "main", mtime: "commit", fetchByCommit: true },
    ],
    ["https://h.example/r.git?ref=main#main", { remote: "https://h.example/r.git", ref: "main" }],
  ])("reads %s", ([text, reference]) => {
    expect(parseGitReference(text)).toEqual(reference);
  });

  test.for([
    "https://h.example/r",
    "https://h.example/r.git.tar",
    "./git@h.example:r",
    "../r.git",
    "github.com/owner/r",
    "dir/r.git",
    "git@",
    "-oProxyCommand=x@h:r",
    "git@-oProxyCommand=x:r",
    "file:///srv/r.git",
    "ext::sh -c x",
  ])("takes %s for no repository", (text) => {
    expect(parseGitReference(text)).toBeUndefined();
  });

  test("takes github.com/owner/repository for one where it is asked to [3.69, 4.14]", () => {
    expect(parseGitReference("github.com/owner/r#v1", { bareGithub: true })).toEqual({
      remote: "https://github.com/owner/r",
      ref: "v1",
    });
  });

  test.for([
    ["?ref=a#b", 'ref conflicts: "b" vs "a"'],
    ["?tag=a#b", 'ref conflicts: "b" vs "refs/tags/a"'],
    ["?tag=a&branch=a", "branch conflicts with tag"],
    ["?subdir=a#:b", 'subdir conflicts: "b" vs "a"'],
    ["?ref=a&ref=b", 'query "ref" has multiple values'],
    ["?ref=", 'query "ref" has no value'],
    ["?submodules=maybe", 'invalid submodules value: "maybe"'],
    ["?mtime=now", 'invalid mtime value: "now"'],
    ["?depth=1", 'unexpected query "depth"'],
  ])("refuses %s", ([suffix = "", reason = ""]) => {
    const read = (): unknown => parseGitReference(`https://u:geheim@h.example/r.git${suffix}`);
    expect(read).toThrow(reason);
    try {
      read();
    } catch (error) {
      expect(isTsbuildError(error, "GIT_REFERENCE_INVALID")).toBe(true);
      expect(String(error)).not.toContain("geheim");
    }
  });
});

test("a submodule's remote is a URL of the network, with or without .git", () => {
  expect(parseGitRemote("https://u:p@h.example/r")).toEqual({
    remote: "https://h.example/r",
    credentials: "u:p",
  });
  for (const url of ["file:///r", "/r", "ext::x", "-x", "h:r"])
    expect(parseGitRemote(url)).toBeUndefined();
});

test("credentials are hidden in any text", () => {
  expect(hideCredentials("get https://a:b@h/x?y=z@w and ssh://git@h/r and http://h/a@b")).toBe(
    "get https://xxxxx@h/x?y=z@w and ssh://xxxxx@h/r and http://h/a@b",
  );
  expect(hideCredentials("https://a:b@c@h/x")).toBe("https://xxxxx@h/x");
  expect(blotCredentials("ADD https://a:b@c@h/x and http://@h /")).toBe(
    "ADD https://xxxxx@h/x and http://@h /",
  );
});

test("of a secret that holds another one nothing is left", () => {
  expect(blotTexts("A=hunter2 B=hunter2hunter4", ["hunter2", "hunter2hunter4"])).toBe(
    "A=xxxxxxx B=xxxxxxxxxxxxxx",
  );
});

test("secrets are blotted wherever they stand, also beside each other", () => {
  expect(blotTexts("pw=pw12pw12; abc", ["pw12", "abc", ""])).toBe("pw=xxxxxxxx; xxx");
  expect(blotTexts("nothing", [])).toBe("nothing");
});
