import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-secrets-"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

/** A secret that nothing else in the world holds. */
async function makeSecret(): Promise<{ readonly value: string; readonly flags: string[] }> {
  const value = `s3cret-${randomBytes(12).toString("hex")}`;
  const path = join(folder, value.slice(-8));
  await writeFile(path, value);
  return { value, flags: ["--secret", `id=tok,src=${path}`] };
}

/** Files below a folder that hold the bytes, tars and all. */
async function filesWith(root: string, bytes: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const found = files.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name);
    const content = await readFile(path).catch(() => Buffer.alloc(0));
    return content.includes(bytes) ? [path] : [];
  });
  return (await Promise.all(found)).flat();
}

const mount = "--mount=type=secret,id=tok --mount=type=secret,id=tok,env=TOK";

describe.each(["builtin", "oci"])("a secret in the %s sandbox", (isolation) => {
  const build = (root: string, ...args: string[]): string[] => [
    ...["--root", root, "--isolation", isolation, "build", "--progress", "plain"],
    ...args,
  ];

  test("is in nothing that a build leaves, nor in what it says [3.35, 6.22]", async () => {
    const root = await workspace.freshRoot();
    const { value, flags } = await makeSecret();
    const image = join(folder, `${isolation}.tar`);
    const place = await context({
      Dockerfile: `FROM BUSYBOX\nRUN ${mount} test "$(cat /run/secrets/tok)" = "$TOK" && echo "$TOK" | wc -c > /length && echo compared $TOK >/dev/null\n`,
    });
    const output = `type=docker,dest=${image}`;
    const told = await expectCli(build(root, ...flags, "-t", "quiet:1", "-o", output, place));
    expect(told.stderr).toContain("****");
    expect(told.stdout + told.stderr).not.toContain(value);
    expect(await filesWith(root, value)).toEqual([]);
    const unpacked = await mkdtemp(join(folder, "image-"));
    await runProgram("tar", ["-xf", image, "-C", unpacked]);
    expect(await filesWith(unpacked, value)).toEqual([]);
    expect((await readdir(unpacked)).length).toBeGreaterThan(2);
  });

  test("is in nothing that a failed build leaves, nor in its error [3.35]", async () => {
    const root = await workspace.freshRoot();
    const { value, flags } = await makeSecret();
    const place = await context({
      Dockerfile: `FROM BUSYBOX\nRUN ${mount} ls /run/secrets && exit 7\n`,
    });
    const told = await cli(build(root, ...flags, place));
    expect(errorCode(told)).toBe("BUILD_RUN_FAILED");
    expect(told.stdout + told.stderr).not.toContain(value);
    expect(await filesWith(root, value)).toEqual([]);
  });

  test("is on no disk while the step runs, and nowhere after kill -9 [3.35]", async () => {
    const root = await workspace.freshRoot();
    const { value, flags } = await makeSecret();
    const place = await context({
      Dockerfile: `FROM BUSYBOX\nRUN ${mount} cat /run/secrets/tok | wc -c; echo up and run""ning; sleep 60\n`,
    });
    const running = startCli(build(root, ...flags, place));
    await running.seen(" up and running");
    expect(await filesWith(root, value)).toEqual([]);
    process.kill(running.process.pid ?? 0, "SIGKILL");
    const { stdout, stderr } = await running.done;
    expect(stdout + stderr).not.toContain(value);
    expect(await filesWith(root, value)).toEqual([]);
  });
});

test("required and not given: the text, the line, the hint [3.36]", async () => {
  const place = await context({
    Dockerfile: "FROM BUSYBOX\nRUN --mount=type=secret,id=X,required ls\n",
  });
  const told = await cli([place]);
  expect(errorCode(told)).toBe("BUILD_SECRET_NOT_FOUND");
  expect(told.stderr).toContain("secret X: not found");
  expect(told.stderr).toContain("--secret id=X");
});

test("from the environment, typed and untyped [3.35]", async () => {
  const place = await context({
    Dockerfile:
      "FROM BUSYBOX\nRUN --mount=type=secret,id=A --mount=type=secret,id=b,env=B echo got $(cat /run/secrets/A) $B\n",
  });
  const flags = ["--secret", "id=A", "--secret", "id=b,env=WORD"];
  const { stderr } = await expectCli(["--progress", "plain", ...flags, place], {
    env: { A: "one", WORD: "two" },
  });
  expect(stderr).toContain("got one two");
});

test("a bad --secret is a usage error", async () => {
  const place = await context({ Dockerfile: "FROM BUSYBOX\n" });
  expect((await cli(["--secret", "src=x", place])).code).toBe(2);
  expect(errorCode(await cli(["--secret", "id=x,src=/no/such", place]))).toBe("SECRET_UNREADABLE");
});
