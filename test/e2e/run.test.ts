import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { makeFolder } from "../support/setup-context.ts";
import { waitForNothingLeft } from "../support/setup-leftovers.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, output } = workspace;

beforeEach(async () => {
  const folder = await context({
    Dockerfile: `FROM BUSYBOX
ENV FROM_IMAGE=image BOTH=image
WORKDIR /srv
RUN echo data >/srv/file && chmod 666 /srv/file && touch /plain && mkdir /vol && echo seed >/vol/seed
CMD ["echo", "default", "command"]
`,
  });
  await expectCli(["-q", "-t", "runner:1", folder]);
});

describe("what is run", () => {
  test("CMD, or the arguments instead of it", async () => {
    expect(await output("runner:1")).toBe("default command\n");
    expect(await output("runner:1", "echo", "--rm", "-e", "mine")).toBe("--rm -e mine\n");
  });

  test("ENTRYPOINT with CMD, with arguments, and replaced", async () => {
    const folder = await context({
      Dockerfile: 'FROM BUSYBOX\nENTRYPOINT ["echo", "entry"]\nCMD ["cmd"]\n',
    });
    await expectCli(["-t", "entry:1", folder]);
    expect(await output("entry:1")).toBe("entry cmd\n");
    expect(await output("entry:1", "other")).toBe("entry other\n");
    const replaced = await expectCli([
      "run",
      "--rm",
      "--entrypoint",
      "printf",
      "entry:1",
      "%s",
      "x",
    ]);
    expect(replaced.stdout).toBe("x");
    // A replaced entry point does not get the image's CMD.
    const bare = await expectCli(["run", "--rm", "--entrypoint", "echo", "entry:1"]);
    expect(bare.stdout).toBe("\n");
  });

  test("environment, folder and user, from the image and from flags", async () => {
    const script = 'echo "$FROM_IMAGE $BOTH $MINE $(pwd) $(id -u):$(id -g) ${LEAK:-clean}"';
    const flags = ["-e", "BOTH=flag", "-e", "MINE=a b=c", "-w", "/tmp", "-u", "app"];
    const { stdout } = await expectCli(["run", "--rm", ...flags, "runner:1", "sh", "-c", script], {
      env: { LEAK: "leaked" },
    });
    expect(stdout).toBe("image flag a b=c /tmp 1000:1000 clean\n");
    const passed = await expectCli(
      ["run", "--rm", "-e", "LEAK", "runner:1", "sh", "-c", "echo $LEAK"],
      {
        env: { LEAK: "asked for" },
      },
    );
    expect(passed.stdout).toBe("asked for\n");
    const numbers = await expectCli([
      "run",
      "--rm",
      "-u",
      "12:34",
      "runner:1",
      "sh",
      "-c",
      "id -u; id -g",
    ]);
    expect(numbers.stdout).toBe("12\n34\n");
  });

  test("stdout and stderr stay apart, byte for byte; -i passes stdin", async () => {
    const noisy = await expectCli([
      "run",
      "--rm",
      "runner:1",
      "sh",
      "-c",
      "echo out; echo err >&2",
    ]);
    expect(noisy).toMatchObject({ stdout: "out\n", stderr: "err\n" });
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${String(index)}\n`).join("");
    const echoed = await expectCli(["run", "--rm", "-i", "runner:1", "cat"], { input: lines });
    expect(echoed.stdout).toBe(lines);
    const closed = await expectCli(["run", "--rm", "runner:1", "cat"], { input: "unheard" });
    expect(closed.stdout).toBe("");
  });
});

describe("exit codes", () => {
  test.for([0, 1, 2, 42, 125, 255])("%i passes through", async (code) => {
    const result = await cli(["run", "--rm", "runner:1", "sh", "-c", `exit ${String(code)}`]);
    expect(result.code).toBe(code);
  });

  test("a signal in the container is 128 plus its number", async () => {
    const result = await cli([
      "run",
      "--rm",
      "runner:1",
      "sh",
      "-c",
      "sh -c 'kill -9 $$'; exit $?",
    ]);
    expect(result.code).toBe(137);
  });

  test("127 not found, 126 not executable, 125 tsbuild's own", async () => {
    const missing = await cli(["run", "--rm", "runner:1", "no-such-program"]);
    expect(missing.code).toBe(127);
    expect(missing.stderr).toMatch(/^tsbuild: .*\[[A-Z_]+\]$/m);
    expect((await cli(["run", "--rm", "--entrypoint", "nope", "runner:1"])).code).toBe(127);
    expect((await cli(["run", "--rm", "runner:1", "/plain"])).code).toBe(126);
    expect((await cli(["run", "--rm", "runner:1", "/srv"])).code).toBe(126);
    expect((await cli(["run", "--rm", "-u", "nobody-here", "runner:1", "true"])).code).toBe(125);
    expect((await cli(["run", "--rm", "127.0.0.1:1/not/there", "true"])).code).toBe(125);
  });
});

describe("volumes", () => {
  test("a folder of the host, read-write and read-only", async () => {
    const folder = await makeFolder("volume");
    await writeFile(join(folder, "given"), "from the host\n");
    const write = "cat /data/given; echo written >/data/made";
    const { stdout } = await expectCli([
      ...["run", "--rm", "-v", `${folder}:/data`, "runner:1", "sh", "-c", write],
    ]);
    expect(stdout).toBe("from the host\n");
    expect(await readFile(join(folder, "made"), "utf8")).toBe("written\n");
    const refused = await cli([
      ...["run", "--rm", "-v", `${folder}:/data:ro`, "runner:1", "sh", "-c", "echo x >/data/made"],
    ]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("Read-only file system");
    expect(await readFile(join(folder, "made"), "utf8")).toBe("written\n");
  });

  test("a single file of the host", async () => {
    const folder = await makeFolder("volume");
    await writeFile(join(folder, "conf"), "mounted\n");
    const volume = `${join(folder, "conf")}:/srv/file:ro`;
    const { stdout } = await expectCli([
      "run",
      "--rm",
      "-v",
      volume,
      "runner:1",
      "cat",
      "/srv/file",
    ]);
    expect(stdout).toBe("mounted\n");
    expect(await output("runner:1", "cat", "/srv/file")).toBe("data\n");
  });

  test("what is no path is refused, because named volumes do not exist yet", async () => {
    for (const volume of ["named:/vol", "/tmp", "/tmp:relative", "/tmp:/x:sideways"]) {
      const result = await cli(["run", "--rm", "-v", volume, "runner:1", "true"]);
      expect(result.code, volume).toBe(125);
      expect(errorCode(result), volume).toBe("RUNTIME_VOLUME_INVALID");
    }
  });
});

describe("the container", () => {
  test("writes are gone afterwards and never reach the image", async () => {
    await expectCli(["run", "--rm", "runner:1", "sh", "-c", "echo changed >/srv/file; rm -r /vol"]);
    expect(await output("runner:1", "cat", "/srv/file", "/vol/seed")).toBe("data\nseed\n");
  });

  test("the command is process 1, alone", async () => {
    expect(await output("runner:1", "sh", "-c", "echo $$; ls -d /proc/[0-9]*")).toBe(
      "1\n/proc/1\n",
    );
  });

  test("has the usual devices and files, and no device of the host", async () => {
    const script =
      "head -c 3 /dev/urandom | wc -c; echo x >/dev/null; ls /dev/pts /dev/shm >/dev/null; " +
      "test ! -e /dev/vda && test ! -e /dev/sda && test -s /etc/hosts && echo fine";
    expect(await output("runner:1", "sh", "-c", script)).toBe("3\nfine\n");
  });

  test("--network none has a loopback only, the default reaches the host's", async () => {
    const listing = ["runner:1", "ls", "/sys/class/net"];
    const none = await expectCli(["run", "--rm", "--network", "none", ...listing]);
    expect(none.stdout).toBe("lo\n");
    const port = workspace.registry.host.split(":")[1] ?? "";
    const reach = ["runner:1", "wget", "-q", "-O", "-", `http://127.0.0.1:${port}/v2/`];
    expect((await expectCli(["run", "--rm", ...reach])).stdout).toBe("{}");
    expect((await cli(["run", "--rm", "--network", "none", ...reach])).code).not.toBe(0);
  });

  test("SIGTERM reaches process 1, whose answer is the exit code", async () => {
    const script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    const running = startCli(["run", "--rm", "runner:1", "sh", "-c", script], {
      root: workspace.root,
    });
    await running.seen("ready");
    running.process.kill("SIGTERM");
    expect(await running.done).toMatchObject({ code: 7, stdout: "ready\ncaught\n" });
  });

  test("kill -9 of tsbuild takes the container with it", async () => {
    const mark = `TSBUILD_MARK=${randomUUID()}`;
    const script = "sleep 1000 & (setsid sleep 1000 &); echo ready; wait";
    const running = startCli(["run", "--rm", "-e", mark, "runner:1", "sh", "-c", script], {
      root: workspace.root,
    });
    await running.seen("ready");
    running.process.kill("SIGKILL");
    await running.done;
    expect(await waitForNothingLeft(workspace.root, { mark })).toEqual([]);
  });

  test("a host folder that is missing is made, as docker does for -v", async () => {
    const folder = join(await makeFolder("volume"), "new/folder");
    const result = await cli(["run", "--rm", "-v", `${folder}:/d`, "runner:1", "touch", "/d/f"]);
    expect(result.code).toBe(0);
    expect(await readFile(join(folder, "f"), "utf8")).toBe("");
  });
});
