import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { explainContextPaths, inspectContext } from "../../../../src/api/index.ts";
import { failureOf } from "../../../support/expect-code.ts";

/** A directory with these files, as options of the verbs. */
function makeContext(files: Readonly<Record<string, string>>) {
  const context = mkdtempSync(join(tmpdir(), "tsbuild-context-"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    writeFileSync(join(context, path), content);
  }
  return { context, root: join(context, "..", "no-root-is-opened") };
}

const project = {
  Dockerfile: "FROM scratch\nCOPY package.json src/ /app/\nCOPY --exclude=*.md docs /docs\n",
  ".dockerignore": "*.log\n**/*.o\n!src/keep.o\nbuild\n",
  "package.json": "{}",
  "src/main.ts": "12345",
  "src/main.o": "1",
  "src/keep.o": "123",
  "docs/guide.md": "1234567",
  "docs/picture": "x".repeat(1000),
  "build/deep/file": "1",
  "data/a": "1234",
  "data/b/c": "12345678",
};

test("files, folders and bytes are counted, and what the rules take is told once", async () => {
  const report = await inspectContext(makeContext(project));
  expect(report).toMatchObject({
    files: 9,
    folders: 4,
    rules: { count: 4, file: ".dockerignore" },
  });
  const rule = { file: ".dockerignore" };
  expect(report.ignored).toEqual([
    { path: "build", rule: { ...rule, line: 4, pattern: "build" } },
    { path: "src/main.o", rule: { ...rule, line: 2, pattern: "**/*.o" } },
  ]);
  expect(report.largestFiles[0]).toEqual({ path: "docs/picture", size: 1000 });
  expect(report.largestFolders.map(({ path, size, files }) => [path, size, files])).toEqual([
    ["docs", 1007, 2],
    ["data", 12, 2],
    ["data/b", 8, 1],
    ["src", 8, 2],
  ]);
});

test("each source is told with what it reads, and what none reads in as few words as it takes", async () => {
  const { uses, unused } = await inspectContext(makeContext(project));
  expect(
    uses.map(({ location, pattern, files, bytes }) => [location?.line, pattern, files, bytes]),
  ).toEqual([
    [2, "package.json", 1, 2],
    [2, "src", 2, 8],
    [3, "docs", 1, 1000],
  ]);
  expect(unused).toEqual({
    files: 3,
    bytes: 19,
    largest: [
      { path: "data", size: 12, files: 2 },
      { path: "docs/guide.md", size: 7, files: 1 },
    ],
  });
});

test("all stages count, mounts too, and the stages of a glob", async () => {
  const dockerfile = [
    "FROM scratch AS unused",
    "ARG NAME=a",
    "COPY $NAME* /",
    "FROM scratch",
    "RUN --mount=type=bind,source=mounted,target=/m true",
  ].join("\n");
  const files = { Dockerfile: dockerfile, a1: "1", a2: "2", "mounted/x": "3", b: "4" };
  const { uses, unused } = await inspectContext(makeContext(files));
  expect(uses.map(({ files: count }) => count)).toEqual([2, 1]);
  expect(unused?.largest.map(({ path }) => path)).toEqual(["b"]);
});

test("a symlink is read as what it leads to", async () => {
  const options = makeContext({
    Dockerfile: "FROM scratch\nCOPY link /x\n",
    target: "1",
    rest: "2",
  });
  symlinkSync("target", join(options.context, "link"));
  const { unused } = await inspectContext(options);
  expect(unused?.largest.map(({ path }) => path)).toEqual(["rest"]);
});

test("a source that is not there is told where it would fail", async () => {
  const files = { ...project, Dockerfile: "FROM scratch\nCOPY build/deep /\nCOPY nowhere /\n" };
  const { uses } = await inspectContext(makeContext(files));
  expect(uses.map(({ problem }) => problem)).toEqual([
    'failed to calculate checksum of ref context: "/build/deep": not found',
    'failed to calculate checksum of ref context: "/nowhere": not found',
  ]);
});

test("of a broken Dockerfile nobody knows what it reads", async () => {
  const files = { ...project, Dockerfile: "FROM scratch\nCOPZ a b\n", ".env": "A=1" };
  const report = await inspectContext(makeContext(files));
  expect(report.problem).toMatch(/^Dockerfile:2: .*COPZ/);
  expect(report).toMatchObject({ uses: [], unused: undefined, files: 10 });
  expect(report.findings).toMatchObject([{ path: ".env", isUsed: undefined }]);
});

test("without a Dockerfile there is nothing to tell", async () => {
  const failure = await failureOf(inspectContext(makeContext({ a: "1" })));
  expect(failure.code).toBe("DOCKERFILE_NOT_FOUND");
});

describe("what seldom belongs into an image", () => {
  const key = "-----BEGIN OPENSSH PRIVATE KEY-----\n";

  test.each([
    [".git/HEAD", "ref", "VERSION_CONTROL", ".git"],
    ["app/node_modules/x/index.js", "", "DEPENDENCIES", "app/node_modules"],
    [".env", "", "ENVIRONMENT", ".env"],
    ["app/.env.production", "", "ENVIRONMENT", "app/.env.production"],
    ["keys/id_ed25519", "", "PRIVATE_KEY", "keys/id_ed25519"],
    ["tls/server.key", key, "PRIVATE_KEY", "tls/server.key"],
    ["tls/server.pem", `text\n${key}`, "PRIVATE_KEY", "tls/server.pem"],
    [".npmrc", "//host/:_authToken=abc", "CREDENTIALS", ".npmrc"],
    [".docker/config.json", '{"auths": {}}', "CREDENTIALS", ".docker/config.json"],
    [".netrc", "", "CREDENTIALS", ".netrc"],
  ])("%s", async (path, content, code, told) => {
    const options = makeContext({ Dockerfile: "FROM scratch\nCOPY . /\n", [path]: content });
    const { findings } = await inspectContext(options);
    expect(findings.map((finding) => [finding.code, finding.path, finding.isUsed])).toEqual([
      [code, told, true],
    ]);
  });

  test.each([
    [".env.example", ""],
    [".env.local.sample", ""],
    [".envrc.md", ""],
    ["tls/public.pem", "-----BEGIN CERTIFICATE-----\n"],
    ["public.key", "-----BEGIN PUBLIC KEY-----\n"],
    [".npmrc", "save-exact=true"],
    ["config.json", '{"authority": 1}'],
    ["id_rsa.pub", "ssh-rsa"],
    [".gitignore", ".git"],
  ])("%s is none of it", async (path, content) => {
    const options = makeContext({ Dockerfile: "FROM scratch\n", [path]: content });
    expect((await inspectContext(options)).findings).toEqual([]);
  });
});

describe("one path is explained", () => {
  async function explain(path: string, files: Readonly<Record<string, string>> = project) {
    const [found] = await explainContextPaths({ ...makeContext(files), paths: [path] });
    const rules = found?.rules.map(({ rule, matched }) => [rule.line, matched]);
    return { ...found, rules, uses: found?.uses.map(({ pattern }) => pattern) };
  }

  test.each([
    ["src/main.ts", { isThere: true, isIncluded: true, rules: [], uses: ["src"] }],
    ["/src/./main.ts", { path: "src/main.ts", isIncluded: true }],
    ["src/main.o", { isThere: true, isIncluded: false, rules: [[2, "src/main.o"]], uses: [] }],
    [
      "src/keep.o",
      {
        isThere: true,
        isIncluded: true,
        rules: [
          [2, "src/keep.o"],
          [3, "src/keep.o"],
        ],
      },
    ],
    ["build/deep/file", { isThere: true, isIncluded: false, rules: [[4, "build"]] }],
    ["build/nothing", { isThere: false, isIncluded: false, rules: [[4, "build"]] }],
    ["nothing", { isThere: false, isIncluded: false, rules: [] }],
    ["docs/guide.md", { isIncluded: true, uses: [] }],
    ["data", { isThere: true, isIncluded: true, uses: [] }],
  ])("%s", async (path, expected) => {
    expect(await explain(path)).toMatchObject(expected);
  });

  test.each(["..", "../x", "", "/"])("%j is outside", async (path) => {
    expect((await failureOf(explain(path))).code).toBe("USAGE");
  });
});
