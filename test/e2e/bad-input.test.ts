import { open, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CliResult } from "../support/cli.ts";
import { type ContextEntry, makeFolder } from "../support/setup-context.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

interface BadBuild {
  readonly name: string;
  readonly files: Readonly<Record<string, ContextEntry>>;
  /** In front of the context. */
  readonly args?: readonly string[];
  /** Instead of the context's folder. */
  readonly contextPath?: string;
  readonly code: string;
  /** Text of the line that `>>>` must mark; absent where no Dockerfile line is at fault. */
  readonly marked?: string;
  /** Further text that the answer must have. */
  readonly tells?: string;
}

const from = "FROM BUSYBOX\n";

const badBuilds: readonly BadBuild[] = [
  {
    name: "a COPY source that is missing",
    files: { Dockerfile: `${from}RUN true\nCOPY absent.txt /x\n` },
    code: "CONTEXT_SOURCE_NOT_FOUND",
    marked: "COPY absent.txt /x",
    tells: "absent.txt",
  },
  {
    name: "COPY from outside of the context",
    files: { Dockerfile: `${from}COPY ../../../etc/hostname /x\n` },
    code: "CONTEXT_SOURCE_NOT_FOUND",
    marked: "COPY ../../../etc/hostname /x",
  },
  {
    name: "COPY through a symlink that leads out of the context",
    files: { Dockerfile: `${from}COPY out/passwd /x\n`, out: { link: "/etc" } },
    code: "CONTEXT_SOURCE_NOT_FOUND",
    marked: "COPY out/passwd /x",
  },
  {
    name: "COPY with one argument",
    files: { Dockerfile: `${from}COPY ./opt/code\n` },
    code: "DOCKERFILE_ARGUMENTS",
    marked: "COPY ./opt/code",
  },
  {
    name: "an unknown instruction, with the one that was meant",
    files: { Dockerfile: `${from}RUNN echo hi\n` },
    code: "DOCKERFILE_UNKNOWN_INSTRUCTION",
    marked: "RUNN echo hi",
    tells: "RUN",
  },
  {
    name: "an instruction without the blank behind it",
    files: { Dockerfile: `${from}ENTRYPOINT["python"]\n` },
    code: "DOCKERFILE_UNKNOWN_INSTRUCTION",
    marked: 'ENTRYPOINT["python"]',
  },
  {
    name: "an unknown flag of an instruction",
    files: { Dockerfile: `${from}COPY --chwon=1 a /b\n`, a: "" },
    code: "DOCKERFILE_FLAG_UNKNOWN",
    marked: "COPY --chwon=1",
    tells: "--chown",
  },
  {
    name: "JSON with a number in it",
    files: { Dockerfile: `${from}CMD ["sleep", 5]\n` },
    code: "DOCKERFILE_JSON",
    marked: 'CMD ["sleep", 5]',
  },
  {
    name: "a heredoc without its end",
    files: { Dockerfile: `${from}RUN <<EOF\necho never ends\n` },
    code: "DOCKERFILE_HEREDOC",
    marked: "RUN <<EOF",
  },
  {
    name: "an empty Dockerfile",
    files: { Dockerfile: "" },
    code: "DOCKERFILE_EMPTY",
    tells: "Dockerfile:1",
  },
  {
    name: "a Dockerfile without FROM",
    files: { Dockerfile: "RUN true\n" },
    code: "DOCKERFILE_NO_STAGE",
    marked: "RUN true",
  },
  {
    name: "a base with an upper-case name",
    files: { Dockerfile: "FROM Ubuntu\n" },
    code: "PLAN_BASE_INVALID",
    marked: "FROM Ubuntu",
    tells: "ubuntu",
  },
  {
    name: "a variable that must be set",
    files: { Dockerfile: `${from}ARG V\nENV X="\${V:?is needed}"\n` },
    code: "DOCKERFILE_VARIABLE_REQUIRED",
    marked: "ENV X=",
    tells: "is needed",
  },
  {
    name: "a stage that copies from a later one",
    files: {
      Dockerfile: `FROM BUSYBOX AS a\nCOPY --from=b /etc /e\nFROM BUSYBOX AS b\nRUN true\nFROM a\n`,
    },
    code: "PLAN_STAGE_ORDER",
    marked: "COPY --from=b",
  },
  {
    name: "stages that need each other",
    files: {
      Dockerfile: `FROM BUSYBOX AS a\nCOPY --from=b /etc /e\nFROM BUSYBOX AS b\nCOPY --from=a /etc /e\n`,
    },
    code: "PLAN_STAGE_CYCLE",
    marked: "COPY --from",
  },
  {
    name: "COPY --from a stage number that is not there",
    files: { Dockerfile: `${from}COPY --from=7 /etc /e\n` },
    code: "PLAN_FROM_INVALID",
    marked: "COPY --from=7",
  },
  {
    name: "an unknown target, with the stage that was meant",
    files: { Dockerfile: "FROM BUSYBOX AS builder\n" },
    args: ["--target", "bulider"],
    code: "PLAN_TARGET_UNKNOWN",
    tells: "builder",
  },
  {
    name: "a registry that nobody listens at",
    files: { Dockerfile: "FROM 127.0.0.1:1/app:1\n" },
    code: "REGISTRY_UNREACHABLE",
    marked: "FROM 127.0.0.1:1/app:1",
    tells: "127.0.0.1:1",
  },
  {
    name: "a base that its registry does not have",
    files: { Dockerfile: "FROM BUSYBOX-not-there\n" },
    code: "IMAGE_NOT_FOUND",
    marked: "FROM 127.0.0.1",
  },
  {
    name: "a platform that no machine has",
    files: { Dockerfile: from },
    args: ["--platform", "linux/abacus/v0/x"],
    code: "PLATFORM_INVALID",
  },
  {
    name: "a name that is none",
    files: { Dockerfile: from },
    args: ["-t", "Not/A:Good:Name"],
    code: "REFERENCE_INVALID",
  },
  {
    name: "a RUN that fails, with what it said and its exit code",
    files: { Dockerfile: `${from}RUN echo the-reason >&2; exit 42\n` },
    code: "BUILD_RUN_FAILED",
    marked: "RUN echo the-reason",
    tells: "42",
  },
  {
    name: "a RUN whose command the shell does not find",
    files: { Dockerfile: `${from}RUN no-such-command\n` },
    code: "BUILD_RUN_FAILED",
    marked: "RUN no-such-command",
    tells: "127",
  },
  {
    name: "an exec-form RUN whose program is missing",
    files: { Dockerfile: `${from}RUN ["/no/such/program"]\n` },
    code: "SANDBOX_EXEC_NOT_FOUND",
    marked: 'RUN ["/no/such/program"]',
  },
  {
    name: "a RUN as a user that the image does not know",
    files: { Dockerfile: `${from}USER stranger\nRUN true\n` },
    code: "SANDBOX_USER_UNKNOWN",
    marked: "RUN true",
    tells: "stranger",
  },
  {
    name: "a Dockerfile that is missing",
    files: { other: "" },
    code: "DOCKERFILE_NOT_FOUND",
    tells: "Dockerfile",
  },
  {
    name: "a context that is missing",
    files: {},
    contextPath: "/no/such/context",
    code: "CONTEXT_NOT_FOUND",
    tells: "/no/such/context",
  },
  {
    name: "a context that is a file",
    files: {},
    contextPath: "/etc/passwd",
    code: "CONTEXT_NOT_FOUND",
  },
  {
    name: "an output in a folder that is missing",
    files: { Dockerfile: from },
    args: ["-o", "type=oci,dest=/no/such/folder/image.tar"],
    code: "OUTPUT_FAILED",
    tells: "/no/such/folder",
  },
  {
    name: "a build argument without a name",
    files: { Dockerfile: from },
    args: ["--build-arg", "=value"],
    code: "BUILD_ARG_INVALID",
  },
];

/** What holds for every failure: one coded line, no stack trace, and the store serves the next build. */
async function expectClearAnswer(result: CliResult, expected: { code: string; exit?: number }) {
  expect(errorCode(result), result.stderr).toBe(expected.code);
  expect(result.code).toBe(expected.exit ?? 1);
  expect(result.stderr).not.toMatch(/^\s+at .*[:(]/m);
  expect(result.stderr).not.toContain("UnhandledPromise");
  expect(result.stdout).toBe("");
  await expectGoodBuild(workspace.root);
}

async function expectGoodBuild(root: string): Promise<void> {
  const folder = await context({ Dockerfile: `${from}COPY f /f\nRUN cat /f\n`, f: "good" });
  await expectCli(["-q", "-t", "good:1", folder], { root });
}

describe("build", () => {
  test.for(badBuilds)("$name", async ({ files, args = [], contextPath, code, marked, tells }) => {
    const folder = contextPath ?? (await context(files));
    const result = await cli([...args, folder]);
    await expectClearAnswer(result, { code });
    const line = result.stderr.split("\n").find((each) => each.includes(">>>"));
    if (marked === undefined) expect(line).toBeUndefined();
    else expect(line).toContain(marked);
    if (tells !== undefined) expect(result.stderr).toContain(tells);
  });

  test("--debug adds the stack, and only then", async () => {
    const folder = await context({ Dockerfile: `${from}COPY absent /x\n` });
    expect((await cli(["--debug", folder])).stderr).toMatch(/^\s+at .*:\d+/m);
  });

  test("the tail of what a failed RUN printed stands in the answer, whatever the display", async () => {
    const folder = await context({ Dockerfile: `${from}RUN echo the-$((1+1))-reason; exit 3\n` });
    for (const progress of ["plain", "quiet"]) {
      const { stderr } = await cli(["--progress", progress, folder]);
      expect(stderr).toContain("the-2-reason");
    }
  });
});

describe("other verbs", () => {
  test("rmi, tag, save, push, inspect and history of an unknown image", async () => {
    const commands = [
      ["rmi", "unknown:1"],
      ["tag", "unknown:1", "x:1"],
      ["save", "-o", "/dev/null", "unknown:1"],
      ["push", "unknown:1"],
      ["inspect", "unknown:1"],
      ["history", "unknown:1"],
    ];
    for (const command of commands) {
      await expectClearAnswer(await cli(command), { code: "IMAGE_NOT_FOUND" });
    }
  });

  test("run of an image that is nowhere exits with 125", async () => {
    const name = `${workspace.registry.host}/unknown:1`;
    await expectClearAnswer(await cli(["run", "--rm", name]), {
      code: "IMAGE_NOT_FOUND",
      exit: 125,
    });
  });

  test("load of what is no archive, of nothing, and of an archive of something else", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "text"), "not a tar at all".repeat(100));
    await writeFile(join(folder, "empty"), "");
    await runProgram("tar", ["-cf", join(folder, "other.tar"), "-C", folder, "text"]);
    for (const name of ["text", "empty", "other.tar"]) {
      const result = await cli(["load", "-i", join(folder, name)]);
      expect(errorCode(result), `${name}: ${result.stderr}`).toMatch(/^ARCHIVE_/);
      await expectClearAnswer(result, { code: errorCode(result) ?? "" });
    }
    const absent = await cli(["load", "-i", join(folder, "absent")]);
    await expectClearAnswer(absent, { code: "ARCHIVE_NOT_FOUND" });
  });

  test("pull of a layer whose bytes are not the promised ones", async () => {
    const name = `${workspace.registry.host}/damaged:1`;
    const noise = "RUN head -c 100000 /dev/urandom >/noise\n";
    const root = await workspace.freshRoot();
    await expectCli(["-t", name, await context({ Dockerfile: from + noise })], { root });
    await expectCli(["push", name], { root });
    await damageLargestUnshared(
      join(workspace.registry.storage, "docker/registry/v2/blobs/sha256"),
    );
    const pulled = await cli(["run", "--rm", name, "true"]);
    await expectClearAnswer(pulled, { code: "DIGEST_MISMATCH", exit: 125 });
    const built = await cli([await context({ Dockerfile: `FROM ${name}\nRUN true\n` })]);
    await expectClearAnswer(built, { code: "DIGEST_MISMATCH" });
  });
});

describe("a full disk", () => {
  test("is told as such, and the store works again when there is room", async (test) => {
    const root = await makeFolder("full");
    try {
      await runProgram("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", root]);
    } catch (error) {
      test.skip(`no tmpfs can be mounted here: ${String(error)}`);
    }
    try {
      const big = await context({
        Dockerfile: `${from}COPY big /big\n`,
        big: Buffer.alloc(24_000_000, "x"),
      });
      const copied = await cli([big], { root });
      expect(errorCode(copied), copied.stderr).toBe("DISK_FULL");
      expect(copied.code).toBe(1);
      expect(copied.stderr).not.toMatch(/^\s+at .*[:(]/m);

      const run = await context({
        Dockerfile: `${from}RUN dd if=/dev/zero of=/big bs=1M count=24\n`,
      });
      const ran = await cli([run], { root });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain("No space left on device");
      expect(errorCode(ran)).toMatch(/^(BUILD_RUN_FAILED|DISK_FULL)$/);

      await expectGoodBuild(root);
    } finally {
      await runProgram("umount", ["-l", root]);
    }
  });

  test("a root that cannot be written to", async () => {
    for (const root of ["/etc/passwd/tsbuild", "/proc/tsbuild"]) {
      const result = await cli([await context({ Dockerfile: from })], {
        root,
        // Nobody waits there for ever.
        signal: AbortSignal.timeout(120_000),
      });
      expect(result.code, root).toBe(1);
      expect(errorCode(result), root).toBe("STORE_UNAVAILABLE");
    }
  });
});

/** Changes one byte in the middle of the newest blob that is larger than a config but no base layer. */
async function damageLargestUnshared(blobs: string): Promise<void> {
  const names = (await readdir(blobs, { recursive: true })).filter((name) =>
    name.endsWith("/data"),
  );
  const known = await Promise.all(
    names.map(async (name) => ({ name, ...(await stat(join(blobs, name))) })),
  );
  const layers = known.filter(({ size }) => size > 90_000 && size < 500_000);
  const newest = layers.sort((a, b) => b.mtimeMs - a.mtimeMs)[0];
  if (newest === undefined) throw new Error("the pushed layer is not in the registry's storage");
  const file = await open(join(blobs, newest.name), "r+");
  try {
    const byte = Buffer.alloc(1);
    const middle = Math.floor(newest.size / 2);
    await file.read(byte, 0, 1, middle);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, middle);
  } finally {
    await file.close();
  }
}
