import { expect, test } from "vitest";
import { outcomesOf } from "../support/setup-progress.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const { cli, context, expectCli, output } = useWorkspace();
const list = ["sh", "-c", "cd /ctx && find . -type f | sort"];

test("anchored patterns, any depth, exceptions, and files below an excluded folder [5.5, 5.7, 5.9]", async () => {
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nCOPY . /ctx\n",
    ".dockerignore":
      "# comment\nDockerfile\n.dockerignore\n*.log\n**/*.tmp\nnode_modules\n!node_modules/keep\n/secret*\nd/*\n!d/in\n",
    "a.log": "",
    "sub/b.log": "",
    "sub/x.tmp": "",
    "node_modules/p/index.js": "",
    "node_modules/keep/me": "",
    "secret.key": "",
    "sub/secret.key": "",
    "d/out": "",
    "d/in": "",
  });
  await expectCli(["-t", "ignore:1", folder]);
  expect(await output("ignore:1", ...list)).toBe(
    "./d/in\n./node_modules/keep/me\n./sub/b.log\n./sub/secret.key\n",
  );
});

test("a Dockerfile's own ignore file replaces the context's [5.1]", async () => {
  const folder = await context({
    "Other.Dockerfile": "FROM BUSYBOX\nCOPY . /ctx\n",
    "Other.Dockerfile.dockerignore": "*\n!only\n",
    ".dockerignore": "only\n",
    only: "",
    more: "",
  });
  await expectCli(["-t", "ignore:2", "-f", `${folder}/Other.Dockerfile`, folder]);
  expect(await output("ignore:2", ...list)).toBe("./only\n");
});

test("an ignored file's change reruns nothing [5.14]", async () => {
  const files = { Dockerfile: "FROM BUSYBOX\nCOPY . /ctx\n", ".dockerignore": "noise\n", a: "a" };
  await expectCli(["-t", "ignore:3", await context({ ...files, noise: "1" })]);
  const changed = await context({ ...files, noise: "2" });
  const { stderr } = await expectCli(["--progress", "rawjson", "-t", "ignore:3", changed]);
  expect(outcomesOf(stderr)).toEqual({ "COPY . /ctx": "cached" });
});

test("COPY of an ignored file fails and names the rule [5.13]", async () => {
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nCOPY hidden.txt /x\n",
    ".dockerignore": "other\n*.txt\n",
    "hidden.txt": "",
  });
  const result = await cli(["-t", "ignore:4", folder]);
  expect(result.code).toBe(1);
  expect(errorCode(result)).toBe("CONTEXT_SOURCE_NOT_FOUND");
  expect(result.stderr).toContain("*.txt");
});
