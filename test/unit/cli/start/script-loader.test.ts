import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openCodeCache } from "../../../../src/cli/start/code-cache.ts";
import { findRoot } from "../../../../src/cli/start/find-root.ts";
import { ScriptLoader } from "../../../../src/cli/start/script-loader.ts";

let root: string;
let dist: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "code-root-"));
  dist = mkdtempSync(join(tmpdir(), "code-dist-"));
  chmodSync(root, 0o700);
});

afterEach(() => {
  for (const folder of [root, dist]) rmSync(folder, { recursive: true });
});

function put(name: string, source: string): string {
  const path = join(dist, name);
  writeFileSync(path, source);
  return path;
}

const codeFiles = (): string[] =>
  readdirSync(root).includes("code") ? readdirSync(join(root, "code")).sort() : [];

test("scripts see each other as CommonJS modules do, circles too, and Node's own modules", () => {
  const main = put(
    "main.js",
    `exports.early = 1; exports.part = require("./part.js"); exports.again = require("./part.js");
     exports.separator = require("node:path").sep; exports.name = [__filename, __dirname];`,
  );
  put("part.js", `module.exports = { seen: require("./main.js").early };`);
  const loaded = new ScriptLoader(openCodeCache(root)).load(main) as Record<string, unknown>;
  expect(loaded).toMatchObject({ part: { seen: 1 }, separator: "/", name: [main, dist] });
  expect(loaded["again"]).toBe(loaded["part"]);
});

test("code is kept once a script was new, and only then", () => {
  const main = put("main.js", `exports.two = () => 1 + 1;`);
  const first = new ScriptLoader(openCodeCache(root));
  first.load(main);
  expect(codeFiles()).toEqual([]);
  first.keepCode();
  const kept = codeFiles();
  expect(kept).toHaveLength(1);

  const path = join(root, "code", kept[0] ?? "");
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(path, longAgo, longAgo);
  const bytes = readFileSync(path);
  const second = new ScriptLoader(openCodeCache(root));
  expect((second.load(main) as { two: () => number }).two()).toBe(2);
  second.keepCode();
  expect(codeFiles()).toEqual(kept);
  expect(readFileSync(path)).toEqual(bytes);
});

test("a script that changed without getting longer is not run from the code of the old one", () => {
  const answer = (): unknown => {
    const loader = new ScriptLoader(openCodeCache(root));
    const { get } = loader.load(join(dist, "main.js")) as { get: () => unknown };
    const got = get();
    loader.keepCode();
    return got;
  };
  put("main.js", `exports.get = () => "old";`);
  expect(answer()).toBe("old");
  put("main.js", `exports.get = () => "new";`);
  expect(answer()).toBe("new");
  expect(codeFiles()).toHaveLength(2);
});

const source = Buffer.from("exports.a = 1;");
const code = Buffer.from("what V8 made of it");

test("code comes back for the same source, until a bit of it is another", () => {
  const cache = openCodeCache(root);
  cache.write(source, code);
  expect(cache.read(source)).toEqual(code);
  const path = join(root, "code", codeFiles()[0] ?? "");
  const bytes = readFileSync(path);
  const last = bytes.length - 1;
  bytes.writeUInt8(bytes.readUInt8(last) ^ 1, last);
  writeFileSync(path, bytes);
  expect(cache.read(source)).toBeUndefined();
  writeFileSync(path, "");
  expect(cache.read(source)).toBeUndefined();
  cache.write(source, code);
  expect(cache.read(source)).toEqual(code);
});

test.each([
  ["the root", (): string => root],
  ["the folder", (): string => join(root, "code")],
  ["the file", (): string => join(root, "code", codeFiles()[0] ?? "")],
])("code is not run when others may write %s", (_, place) => {
  const cache = openCodeCache(root);
  cache.write(source, code);
  chmodSync(place(), 0o777);
  expect(cache.read(source)).toBeUndefined();
  chmodSync(place(), 0o700);
  expect(cache.read(source)).toEqual(code);
});

test("nothing is written into a root that others may write, or that is not there", () => {
  chmodSync(root, 0o777);
  openCodeCache(root).write(source, code);
  expect(codeFiles()).toEqual([]);
  const missing = join(root, "missing");
  openCodeCache(missing).write(source, code);
  expect(readdirSync(root)).toEqual([]);
});

test("a write sweeps what nobody has written anew for a month", () => {
  const cache = openCodeCache(root);
  cache.write(source, code);
  const [old = ""] = codeFiles();
  const then = new Date(Date.now() - 31 * 24 * 60 * 60 * 1000);
  utimesSync(join(root, "code", old), then, then);
  cache.write(Buffer.from("another"), code);
  expect(codeFiles()).toHaveLength(1);
  expect(cache.read(source)).toBeUndefined();
});

test.each([
  [["--root", "/a", "build"], "/a"],
  [["build", "--root=/b", "."], "/b"],
  [["build", "--root", "", "."], undefined],
  [["build", "--root=", "."], undefined],
])("the root of %j is %s", (args, expected) => {
  expect(findRoot(args)).toBe(expected);
});

test("a root whose path is no folder's is no root", () => {
  const cache = openCodeCache(join(put("file", ""), "root"));
  cache.write(source, code);
  expect(cache.read(source)).toBeUndefined();
});
