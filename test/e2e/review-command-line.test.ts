import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCli, tsbuildBin } from "../support/cli.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-review-"));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

/** Runs a bash script in which `tsbuild` is the command; tells its exit codes and output. */
async function script(
  text: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const prelude = `tsbuild() { "${process.execPath}" "${tsbuildBin}" "$@"; }\n`;
  const child = spawn("bash", ["-c", prelude + text], {
    cwd: folder,
    env: { ...process.env, TSBUILD_ROOT: workspace.root },
  });
  const texts = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (texts.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (texts.stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, ...texts };
}

describe("output that nobody takes", () => {
  // Writes until the reader is gone, so that the command's first write already finds the pipe broken.
  const untilBroken = "trap '' PIPE; while echo; do :; done 2>/dev/null; trap - PIPE";
  test.for(["images", "--help", "system df", "save APP", "inspect APP"])(
    "tsbuild %s | true ends silently, as by SIGPIPE",
    async (words) => {
      const directory = await context({ Dockerfile: "FROM BUSYBOX\nCMD true\n" });
      await expectCli(["-t", "app:pipe", directory]);
      const command = words.replace("APP", "app:pipe");
      const { stdout, stderr } = await script(
        `{ ${untilBroken}; tsbuild ${command}; } | true; echo "\${PIPESTATUS[0]}"`,
      );
      expect({ stdout, stderr }).toEqual({ stdout: "141\n", stderr: "" });
    },
  );

  test("a build whose progress nobody reads stops, and leaves nothing running", async () => {
    const directory = await context({ Dockerfile: "FROM BUSYBOX\nRUN sleep 100\n" });
    const { stdout } = await script(
      `{ ${untilBroken}; tsbuild "${directory}" 2>&1 >/dev/null; } | true; echo "\${PIPESTATUS[0]}"`,
    );
    expect(stdout).toBe("141\n");
  });

  test("a full disk behind standard output is told", async () => {
    const result = await script("tsbuild images > /dev/full");
    expect(result.code).toBe(1);
    expect(errorCode({ ...result, code: 1 })).toBe("DISK_FULL");
  });
});

describe("places that are not there", () => {
  test("the working directory", async () => {
    const { code, stderr, stdout } = await script("mkdir gone; cd gone; rmdir ../gone; tsbuild .");
    expect(stderr).toContain("[CONTEXT_NOT_FOUND]");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  test("the folder of --iidfile, told before the build", async () => {
    const directory = await context({ Dockerfile: "FROM BUSYBOX\nRUN exit 1\n" });
    const result = await cli(["--iidfile", join(folder, "absent", "id"), directory]);
    expect(errorCode(result)).toBe("OUTPUT_FAILED");
  });

  test("an empty --root does not become the working directory", async () => {
    const before = await readdir(folder);
    const result = await cli(["--root", "", "images"], { cwd: folder });
    expect(result.code).toBe(2);
    expect(await readdir(folder)).toEqual(before);
  });
});

test("save leaves nothing beside a directory that it was given as a file", async () => {
  const directory = await context({ Dockerfile: "FROM BUSYBOX\nCMD true\n" });
  await expectCli(["-t", "app:dir", directory]);
  const target = await mkdtemp(join(folder, "target-"));
  const before = await readdir(folder);
  expect(errorCode(await cli(["save", "-o", target, "app:dir"]))).toBe("ARCHIVE_WRITE_FAILED");
  expect(await readdir(folder)).toEqual(before);
});

test("system df and prune know a container that has ended", async () => {
  await expectCli(["run", workspace.busybox, "sh", "-c", "echo hello > /file"]);
  const { stdout } = await expectCli(["system", "df", "--format", "json"]);
  const rows = JSON.parse(stdout) as { type: string; total: number; size: number }[];
  const containers = rows.find(({ type }) => type === "Containers");
  expect(containers?.total).toBe(1);
  expect(containers?.size).toBeGreaterThanOrEqual("hello\n".length);
  await expectCli(["system", "prune"]);
  const after = await expectCli(["system", "df", "--format", "json"]);
  expect(JSON.parse(after.stdout)).toContainEqual(
    expect.objectContaining({ type: "Containers", total: 0 }),
  );
});

test("one name given twice is one name", async () => {
  const directory = await context({ Dockerfile: "FROM BUSYBOX\nCMD true\n" });
  const { stderr } = await expectCli([
    "-t",
    "twice:1",
    "-t",
    "docker.io/library/twice:1",
    directory,
  ]);
  expect(stderr).toMatch(/^image sha256:[0-9a-f]{64} is twice:1$/m);
});

describe("mistakes of beginners are answered with what was meant", () => {
  test("an option behind the image's name", async () => {
    const result = await cli(["run", "--rm", workspace.busybox, "-it", "sh"]);
    expect(result.code).toBe(127);
    expect(result.stderr).toContain("executable file not found in $PATH");
    expect(result.stderr).toMatch(/^hint: .*before the image name/m);
  });

  test("a build without its context, and a command that there is not", async () => {
    expect((await cli(["build", "-t", "x"])).stderr).toContain("tsbuild -t app:1.0 .");
    expect((await cli(["imags"])).stderr).toContain("there is no command imags");
    expect((await cli(["volume", "ls"])).stderr).toContain("there is no command volume");
  });

  test("a tag that is almost right, here and in the registry", async () => {
    const wrong = workspace.busybox.replace(/:1$/, ":11");
    const pulled = await cli(["pull", wrong]);
    expect(errorCode(pulled)).toBe("IMAGE_NOT_FOUND");
    expect(pulled.stderr).toMatch(/^hint: .*\b1\b/m);
    const directory = await context({ Dockerfile: "FROM BUSYBOX\nCMD true\n" });
    await expectCli(["-t", "nearby:bookworm", directory]);
    expect((await cli(["rmi", "nearby:bokworm"])).stderr).toContain(
      "did you mean nearby:bookworm?",
    );
  });

  test("COPY from above the context", async () => {
    const directory = await context({ Dockerfile: "FROM BUSYBOX\nCOPY ../absent /x\n" });
    const { stderr } = await cli([directory]);
    expect(stderr).toMatch(/^Dockerfile:2:6\n(?:.*\n){2} +\| {10}\^{9}\n/m);
    expect(stderr).toContain('"/absent": not found');
    expect(stderr).toMatch(/^hint: .*outside of the build context/m);
  });

  test("an image for another platform than the one that was asked for [R5.9]", async () => {
    const run = await cli(["run", "--rm", "--platform", "linux/s390x", workspace.busybox, "true"]);
    expect(run.code).toBe(125);
    expect(errorCode(run)).toBe("IMAGE_NOT_FOUND");
    const pull = await expectCli(["pull", "--platform", "linux/s390x", workspace.busybox]);
    expect(pull.stderr).toContain("InvalidImagePlatform");
  });
});

test("a line of the Dockerfile that is very long does not hide the message", async () => {
  const directory = await context({});
  await writeFile(
    join(directory, "Dockerfile"),
    `FROM ${workspace.busybox}\nLABLE x=${"y".repeat(9000)}\n`,
  );
  const { stderr } = await cli([directory]);
  expect(Math.max(...stderr.split("\n").map((line) => line.length))).toBeLessThan(10_000);
  expect(stderr.split("\n").find((line) => line.includes(">>> LABLE"))?.length).toBeLessThan(400);
});

test("a heredoc takes one row of the history", async () => {
  const directory = await context({ Dockerfile: "FROM BUSYBOX\nRUN <<E\ntrue\ntrue\nE\n" });
  await expectCli(["-t", "app:rows", directory]);
  const { stdout } = await expectCli(["history", "app:rows"]);
  const json = JSON.parse(
    (await expectCli(["history", "--format", "json", "app:rows"])).stdout,
  ) as [];
  expect(stdout.trimEnd().split("\n")).toHaveLength(json.length + 1);
});

describe("containers that are over hold nothing for ever", () => {
  const countContainers = async (root: string): Promise<number | undefined> => {
    const { stdout } = await expectCli(["system", "df", "--format", "json"], { root });
    const rows = JSON.parse(stdout) as { type: string; total: number }[];
    return rows.find(({ type }) => type === "Containers")?.total;
  };

  test("one that could not start is none", async () => {
    const root = await workspace.freshRoot();
    expect((await cli(["run", workspace.busybox, "no-such-program"], { root })).code).toBe(127);
    expect(await countContainers(root)).toBe(0);
  });

  test("one whose tsbuild was killed can be pruned", async () => {
    const root = await workspace.freshRoot();
    const abort = new AbortController();
    const running = startCli(["run", workspace.busybox, "sh", "-c", "echo up; sleep 100"], {
      root,
      signal: abort.signal,
    });
    await running.seen("up");
    await expectCli(["system", "prune"], { root });
    expect(await countContainers(root)).toBe(1);
    abort.abort();
    await running.done;
    await expectCli(["system", "prune"], { root });
    expect(await countContainers(root)).toBe(0);
  });

  test("rmi refuses the last name of an image that a container lies on, unless forced", async () => {
    const root = await workspace.freshRoot();
    await expectCli(["run", workspace.busybox, "true"], { root });
    await expectCli(["tag", workspace.busybox, "other:1"], { root });
    await expectCli(["rmi", "other:1"], { root });
    expect(errorCode(await cli(["rmi", workspace.busybox], { root }))).toBe("IMAGE_IN_USE");
    await expectCli(["rmi", "--force", workspace.busybox], { root });
  });
});

test("a name by digest stands among the digests of inspect, and push shows it", async () => {
  const root = await workspace.freshRoot();
  const { stdout } = await expectCli(["pull", workspace.busybox], { root });
  const digest = /sha256:[0-9a-f]{64}/.exec(stdout)?.[0] ?? "";
  const name = `${workspace.busybox.replace(/:1$/, "")}@${digest}`;
  await expectCli(["pull", name], { root });
  const [found] = JSON.parse((await expectCli(["inspect", name], { root })).stdout) as [
    { RepoTags: string[]; RepoDigests: string[] },
  ];
  expect(found).toMatchObject({ RepoTags: [workspace.busybox], RepoDigests: [name] });
  expect((await expectCli(["push", name], { root })).stdout).toContain(
    `${digest}: digest: ${digest}`,
  );
});

test("run says that it pulls, on stderr, and only when it does", async () => {
  const root = await workspace.freshRoot();
  const first = await expectCli(["run", "--rm", workspace.busybox, "echo", "hi"], { root });
  expect(first.stdout).toBe("hi\n");
  expect(first.stderr).toContain(`pulling ${workspace.busybox}`);
  const second = await expectCli(["run", "--rm", workspace.busybox, "echo", "hi"], { root });
  expect(second).toMatchObject({ stdout: "hi\n", stderr: "" });
});
