import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openCodeCache } from "../../../../src/cli/start/code-cache.ts";
import { createProgram } from "../../../../src/cli/command-line.ts";
import { findGroup, otherCommands } from "../../../../src/cli/start/code-group.ts";
import { findRoot } from "../../../../src/cli/start/find-root.ts";
import { loadWhenUsed } from "../../../../src/cli/start/load-when-used.ts";
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

const newLoader = (): ScriptLoader =>
  new ScriptLoader({ cache: openCodeCache(root), require: createRequire(import.meta.url) });

const codeFiles = (): string[] =>
  readdirSync(root).includes("code") ? readdirSync(join(root, "code")).sort() : [];

test("scripts see each other as CommonJS modules do, circles too, and Node's own modules", () => {
  const main = put(
    "main.js",
    `exports.early = 1; exports.part = require("./part.js"); exports.again = require("./part.js");
     exports.separator = require("node:path").sep; exports.name = [__filename, __dirname];`,
  );
  put("part.js", `module.exports = { seen: require("./main.js").early };`);
  const loaded = newLoader().load(main) as Record<string, unknown>;
  expect(loaded).toMatchObject({ part: { seen: 1 }, separator: "/", name: [main, dist] });
  expect(loaded["again"]).toBe(loaded["part"]);
});

/** As the second, third … command of a root does. */
function runAgain(main: string, ...kinds: readonly string[]): number {
  const loader = newLoader();
  const { two } = loader.load(main) as { two: () => number };
  const answer = two();
  loader.keepCode(kinds.length === 0 ? ["build"] : kinds);
  return answer;
}

const day = 24 * 3600_000;

test("the first three commands of a kind keep what they compiled, and later the first of a day", () => {
  const main = put("main.js", `exports.two = () => 1 + 1;`);
  const first = newLoader();
  first.load(main);
  expect(codeFiles()).toEqual([]);
  first.keepCode(["build"]);
  const names = codeFiles();
  expect(names).toHaveLength(1);
  const path = join(root, "code", names[0] ?? "");
  /** Whether a command writes what is so old, in milliseconds. */
  const isWritten = (age: number, ...kinds: readonly string[]): boolean => {
    const then = new Date(Date.now() - age);
    utimesSync(path, then, then);
    expect(runAgain(main, ...kinds)).toBe(2);
    expect(codeFiles()).toEqual(names);
    return statSync(path).mtimeMs > then.getTime() + 1000;
  };
  expect([isWritten(60_000), isWritten(60_000), isWritten(60_000)]).toEqual([true, true, false]);
  const push = (age: number): boolean => isWritten(age, "push");
  expect([push(60_000), push(60_000), push(60_000), push(60_000)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
  expect([isWritten(60_000), isWritten(day + 60_000), isWritten(60_000)]).toEqual([
    false,
    true,
    false,
  ]);
  // On a new day once more; and what was not used for a whole one is new again.
  expect([push(60_000), push(60_000)]).toEqual([true, false]);
  expect([isWritten(day), isWritten(day)]).toEqual([true, true]);
  expect([push(60_000), push(60_000), push(60_000), push(60_000)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

test("a build adds what it compiled when it has an instruction that none had before", () => {
  const main = put("main.js", `exports.two = () => 1 + 1;`);
  const isWritten = (...kinds: readonly string[]): boolean => {
    const path = join(root, "code", codeFiles()[0] ?? "");
    const then = new Date(Date.now() - 60_000);
    utimesSync(path, then, then);
    runAgain(main, ...kinds);
    return statSync(path).mtimeMs > then.getTime() + 1000;
  };
  for (let i = 0; i < 3; i++) runAgain(main, "build", "step COPY");
  expect([isWritten("build", "step COPY"), isWritten("step COPY")]).toEqual([false, false]);
  const withRun = (): boolean => isWritten("build", "step RUN", "step COPY");
  expect([withRun(), withRun(), isWritten("step COPY (cached)")]).toEqual([true, false, true]);
});

test("of a day forty kinds of command keep something, others the next day", () => {
  const main = put("main.js", `exports.two = () => 1 + 1;`);
  const codeOf = (kind: string): string => {
    runAgain(main, kind);
    return readFileSync(join(root, "code", codeFiles()[0] ?? "")).toString("latin1");
  };
  for (let i = 0; i < 39; i++) runAgain(main, `kind ${String(i)}`);
  expect(codeOf("the fortieth")).toContain("the fortieth");
  expect(codeOf("one more")).not.toContain("one more");
  const path = join(root, "code", codeFiles()[0] ?? "");
  const before = statSync(path).mtimeMs;
  runAgain(main, "the fortieth", "one more");
  expect(statSync(path).mtimeMs).toBeGreaterThan(before);
  expect(codeOf("one more")).not.toContain("one more");
  const then = new Date(Date.now() - day);
  utimesSync(join(root, "code", codeFiles()[0] ?? ""), then, then);
  expect(codeOf("one more")).toContain("one more");
  expect(codeOf("one more")).not.toContain("the fortieth");
});

test("a script that seldom is loaded brings no kinds into the full file of another one", () => {
  const main = put(
    "main.js",
    `exports.two = () => 1 + 1; exports.more = () => require("./part.js");`,
  );
  put("part.js", `exports.three = 3;`);
  for (let i = 0; i < 40; i++) runAgain(main, `kind ${String(i)}`);
  const [full = ""] = codeFiles();
  const loader = newLoader();
  (loader.load(main) as { more: () => unknown }).more();
  loader.keepCode(["one more"]);
  const textOf = (name: string): string =>
    readFileSync(join(root, "code", name)).toString("latin1");
  expect(codeFiles().map((name) => [name === full, textOf(name).includes("one more")])).toEqual(
    expect.arrayContaining([
      [true, false],
      [false, true],
    ]),
  );
});

test("what a later command compiles is there for the next one", () => {
  const body = Array.from({ length: 200 }, (_, i) => `value += ${String(i)};`).join(" ");
  const main = put("main.js", `exports.two = () => 2; exports.more = (value) => { ${body} };`);
  runAgain(main);
  const size = (): number => statSync(join(root, "code", codeFiles()[0] ?? "")).size;
  const before = size();
  const loader = newLoader();
  (loader.load(main) as { more: (value: number) => void }).more(1);
  loader.keepCode(["another"]);
  expect(size()).toBeGreaterThan(before + 500);
  const after = size();
  runAgain(main);
  expect(size()).toBeGreaterThanOrEqual(after - 100);
});

test("Node's own modules are loaded when something of them is used", () => {
  const loads: string[] = [];
  const lazy = loadWhenUsed(() => {
    loads.push("now");
    return { a: 1 };
  }) as { a: number; b?: number };
  expect(loads).toEqual([]);
  expect([lazy.a, lazy.b, "a" in lazy, "b" in lazy, { ...lazy }]).toEqual([
    ...[1, undefined, true, false],
    { a: 1 },
  ]);
  expect(loads.length).toBeGreaterThan(0);
});

test("a script that changed without getting longer is not run from the code of the old one", () => {
  const answer = (): unknown => {
    const loader = newLoader();
    const { get } = loader.load(join(dist, "main.js")) as { get: () => unknown };
    const got = get();
    loader.keepCode(["build"]);
    return got;
  };
  put("main.js", `exports.get = () => "old";`);
  expect(answer()).toBe("old");
  put("main.js", `exports.get = () => "new";`);
  expect(answer()).toBe("new");
  expect(codeFiles()).toHaveLength(2);
});

const source = Buffer.from("exports.a = 1;");
const kept = { code: Buffer.from("what V8 made of it"), rounds: { build: 1 } };

test("code comes back for the same source, until a bit of it is another", () => {
  const cache = openCodeCache(root);
  cache.write(source, kept);
  expect(cache.read(source)).toMatchObject(kept);
  const path = join(root, "code", codeFiles()[0] ?? "");
  const bytes = readFileSync(path);
  const last = bytes.length - 1;
  bytes.writeUInt8(bytes.readUInt8(last) ^ 1, last);
  writeFileSync(path, bytes);
  expect(cache.read(source)).toBeUndefined();
  writeFileSync(path, "");
  expect(cache.read(source)).toBeUndefined();
  cache.write(source, { ...kept, rounds: JSON.parse("null") as typeof kept.rounds });
  expect(cache.read(source)).toBeUndefined();
  cache.write(source, kept);
  expect(cache.read(source)).toMatchObject(kept);
});

test.each([
  ["the root", (): string => root],
  ["the folder", (): string => join(root, "code")],
  ["the file", (): string => join(root, "code", codeFiles()[0] ?? "")],
])("code is not run when others may write %s", (_, place) => {
  const cache = openCodeCache(root);
  cache.write(source, kept);
  chmodSync(place(), 0o777);
  expect(cache.read(source)).toBeUndefined();
  chmodSync(place(), 0o700);
  expect(cache.read(source)).toMatchObject(kept);
});

test("nothing is written into a root that others may write, or that is not there", () => {
  chmodSync(root, 0o777);
  openCodeCache(root).write(source, kept);
  expect(codeFiles()).toEqual([]);
  const missing = join(root, "missing");
  openCodeCache(missing).write(source, kept);
  expect(readdirSync(root)).toEqual([]);
});

test("groups keep their own, and have what builds kept until then", () => {
  const [builds, pushes] = [openCodeCache(root), openCodeCache(root, "push")];
  builds.write(source, kept);
  expect(pushes.read(source)).toEqual({ code: kept.code, rounds: {}, isOld: false });
  pushes.write(source, { code: Buffer.from("more"), rounds: { push: 1 } });
  expect(pushes.read(source)).toMatchObject({ code: Buffer.from("more"), rounds: { push: 1 } });
  expect(builds.read(source)).toMatchObject(kept);
  expect(codeFiles()).toHaveLength(2);
});

test("every command is known to a group", () => {
  const program = createProgram({ signal: new AbortController().signal, exitCode: 0 });
  const names = program.commands.map((command) => command.name());
  for (const name of names) {
    const expected = ["build", "explain", "push", "run"].includes(name) ? name : "others";
    expect(findGroup(["--root", "/r", name, "x"])).toBe(expected);
  }
  expect(otherCommands.filter((name) => !names.includes(name))).toEqual([]);
  expect(findGroup(["-t", "app", "."])).toBe("build");
});

test("a write sweeps what nobody has written anew for a month", () => {
  const cache = openCodeCache(root);
  cache.write(source, kept);
  const [old = ""] = codeFiles();
  const then = new Date(Date.now() - 31 * 24 * 60 * 60 * 1000);
  utimesSync(join(root, "code", old), then, then);
  cache.write(Buffer.from("another"), kept);
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
  cache.write(source, kept);
  expect(cache.read(source)).toBeUndefined();
});
