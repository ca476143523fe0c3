import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectCli, repository, runCli } from "../support/cli.ts";
import { makeFolder } from "../support/setup-context.ts";

const verbs = [
  ...["build", "images", "tag", "rmi", "inspect", "history", "save", "load", "pull", "push", "run"],
  ...["builder", "system"],
];

describe("help and version", () => {
  test("--version prints package.json's", async () => {
    const text = await readFile(join(repository, "package.json"), "utf8");
    const { version } = JSON.parse(text) as { version: string };
    expect(await runCli(["--version"])).toMatchObject({
      code: 0,
      stdout: `${version}\n`,
      stderr: "",
    });
  });

  test("--help lists every verb on stdout", async () => {
    const { code, stdout } = await runCli(["--help"]);
    expect(code).toBe(0);
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb}\\b`, "m"));
  });

  test.for([...verbs, "builder prune", "system df", "system prune"])("%s --help", async (verb) => {
    const { code, stdout } = await runCli([...verb.split(" "), "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: tsbuild ${verb}`);
  });
});

describe("wrong usage exits with 2, on stderr, and touches nothing", () => {
  test.for([
    [["build"], "context"],
    [["build", "--no-such-flag", "."], "--no-such-flag"],
    [["build", ".", "extra"], "arguments"],
    [["build", "--progress", "fancy", "."], "fancy"],
    [["build", "--network", "moon", "."], "moon"],
    [["build", "--isolation", "jail", "."], "jail"],
    [["build", "-o", "type=local", "."], "dest"],
    [["build", "-o", "type=zip,dest=x", "."], "zip"],
    [["build", "-t"], "-t"],
    [["run"], "image"],
    [["run", "--no-such-flag", "x"], "--no-such-flag"],
    [["tag", "only-one"], "target"],
    [["save"], "image"],
    [["rmi"], "image"],
    [["pull"], "name"],
    [["system", "nonsense"], "nonsense"],
  ] as const)("tsbuild %j", async ([args, word]) => {
    const { code, stdout, stderr } = await runCli(args, {
      root: "/etc/passwd/no-root-can-be-here",
    });
    expect(stderr.toLowerCase()).toContain(word);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

test("a command starts from few files: each further one costs a millisecond", async () => {
  const text = await readFile(join(repository, "dist/cli.js"), "utf8");
  const required = [
    ...text.matchAll(/^(?:const|let) .*require\("\.\/chunks\/([a-z-]+)-[^"]+\.js"\);$/gm),
  ];
  expect(required.map(([, name]) => name).sort()).toEqual(["library", "rolldown-runtime"]);
});

test("the second start takes its code from the state root; without it, or with a broken one, it starts too", async () => {
  const root = await makeFolder("code");
  await chmod(root, 0o700);
  const code = join(root, "code");
  const start = async (): Promise<string[]> => {
    await expectCli(["images"], { root });
    return (await readdir(code)).sort();
  };
  const kept = await start();
  expect(kept.length).toBeGreaterThan(1);
  expect(await start()).toEqual(kept);
  for (const name of kept) await writeFile(join(code, name), "broken");
  expect(await start()).toEqual(kept);
  expect((await readFile(join(code, kept[0] ?? ""))).length).toBeGreaterThan(100);
  await rm(code, { recursive: true });
  expect(await start()).toEqual(kept);
});

test("flags of docker build that mean nothing here are taken, and told when that changes the result", async () => {
  const legacy = ["--builder", "x", "--compress", "--rm", "--force-rm"];
  const missing = "/no/such/context";
  const silent = await runCli(["build", ...legacy, missing]);
  expect(silent.code).toBe(1);
  expect(silent.stderr).toContain("CONTEXT_NOT_FOUND");
  expect(silent.stderr).not.toContain("FLAG_IGNORED");
  const told = await runCli(["build", "--squash", "--security-opt", "x=y", missing]);
  expect(told.stderr.match(/FLAG_IGNORED/g)).toHaveLength(2);
});
