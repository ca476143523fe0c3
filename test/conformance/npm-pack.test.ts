import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { expectCli, repository } from "../support/cli.ts";
import { makeFolder } from "../support/setup-context.ts";
import { runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["npm"] });

test("the packed package, installed in an empty folder elsewhere, builds and runs an image", async () => {
  const folder = await makeFolder("pack");
  // `prepack` would build once more, which other test files running beside this one would see.
  await runProgram("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], {
    cwd: repository,
  });
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz")) ?? "";
  const listing = await runProgram("tar", ["-tf", join(folder, tarball)]);
  expect(listing).toContain("package/bin/tsbuild.js");
  expect(listing).toContain("package/dist/cli.js");
  expect(listing).not.toMatch(/^package\/(src|test|fixtures|node_modules)\//m);

  const home = join(folder, "elsewhere");
  await runProgram("mkdir", [home]);
  await runProgram("npm", ["init", "-y"], { cwd: home });
  // What this repository was installed from is in npm's cache most of the time; else the registry may need patience.
  const patience = ["--prefer-offline", "--fetch-retries=5"];
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", ...patience];
  const install = ["install", ...flags, join(folder, tarball)];
  await runProgram("npm", install, { cwd: home });
  const bin = join(home, "node_modules/.bin/tsbuild");

  const root = await workspace.freshRoot();
  const app = await workspace.context({
    "hello.sh": "echo packed hello\n",
    Dockerfile: 'FROM BUSYBOX\nCOPY hello.sh /\nRUN sh /hello.sh >/told\nCMD ["cat", "/told"]\n',
  });
  await expectCli(["-t", "app:1.0", app], { root, bin, cwd: home });
  const { stdout } = await expectCli(["run", "--rm", "app:1.0"], { root, bin, cwd: home });
  expect(stdout).toBe("packed hello\n");
});

test("the library is importable under the package's name, and lists images", async () => {
  const root = await workspace.freshRoot();
  const script = `const { listImages } = await import(process.argv[1]);
    console.log(JSON.stringify(await listImages({ root: process.argv[2], all: false })));`;
  const told = await runProgram(process.execPath, [
    ...["--input-type=module", "-e", script, join(repository, "dist/index.js"), root],
  ]);
  expect(JSON.parse(told)).toEqual([]);
});
