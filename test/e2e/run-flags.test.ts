import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readlinkSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type RunningCli, startCli } from "../support/cli.ts";
import { startGate } from "../support/gate.ts";
import { childrenOf, findMarkedProcesses } from "../support/marked-processes.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["ssh-agent", "ssh-add", "ssh-keygen"] });
const { cli, context, expectCli } = workspace;
const plain = ["--progress", "plain"];

test("--add-host: names, both separators, IPv6, host-gateway [6.2]", async () => {
  const place = await context({ Dockerfile: "FROM BUSYBOX\nRUN grep test$ /etc/hosts\n" });
  const hosts = ["a.test:192.0.2.1", "b.test=[2001:db8::2]", "c.test:host-gateway"];
  const flags = hosts.flatMap((host) => ["--add-host", host]);
  const { stderr } = await expectCli([...plain, ...flags, place]);
  for (const line of ["192.0.2.1\ta.test", "2001:db8::2\tb.test", "127.0.0.1\tc.test"])
    expect(stderr).toContain(line);
  expect((await cli(["--add-host", "nonsense", place])).code).toBe(2);
});

test("--ulimit and --shm-size [6.2]", async () => {
  const place = await context({
    Dockerfile:
      "FROM BUSYBOX\nRUN echo $(ulimit -Sn) $(ulimit -Hn) $(df -k /dev/shm | awk 'NR==2{print $2}')\n",
  });
  const flags = ["--ulimit", "nofile=300:400", "--shm-size", "4m"];
  expect((await expectCli([...plain, ...flags, place])).stderr).toContain("300 400 4096");
});

test("--allow and --network host on the command line [3.24, 3.25]", async () => {
  const place = await context({ Dockerfile: "FROM BUSYBOX\nRUN --network=host true\n" });
  const refused = await cli([place]);
  expect(errorCode(refused)).toBe("PLAN_ENTITLEMENT_MISSING");
  expect(refused.stderr).toContain("entitlement network.host is not allowed");
  await expectCli(["--allow", "network.host", place]);
  await expectCli(["--network", "host", place]);
  const insecure = await context({ Dockerfile: "FROM BUSYBOX\nRUN --security=insecure true\n" });
  expect((await cli([insecure])).stderr).toContain("entitlement security.insecure is not allowed");
  await expectCli(["--allow", "security.insecure", insecure]);
});

test("build arguments for the sandbox: BUILDKIT_SANDBOX_HOSTNAME, BUILDKIT_CACHE_MOUNT_NS [2.22, 3.22]", async () => {
  const place = await context({
    Dockerfile:
      "FROM BUSYBOX\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN --mount=type=cache,target=/c echo $(hostname) [$(cat /c/f)] $BUILDKIT_SBOM_SCAN_STAGE-; echo x >> /c/f\n",
  });
  const told = async (...args: string[]): Promise<string> =>
    (await expectCli([...plain, ...args.flatMap((arg) => ["--build-arg", arg]), place])).stderr;
  expect(await told("BUILDKIT_SANDBOX_HOSTNAME=boxed")).toContain("boxed [] -");
  expect(await told("BUILDKIT_CACHE_MOUNT_NS=other")).toContain("buildkitsandbox [] -");
});

describe("limits", () => {
  const hungry = "FROM BUSYBOX\nRUN head -c 90000000 /dev/zero | tail -c 80000000 > /dev/null\n";

  test("-m stops a step that wants more, in its control group below --cgroup-parent", async () => {
    const place = await context({ Dockerfile: hungry });
    const told = await cli([...plain, "-m", "24m", "--memory-swap", "24m", place]);
    if (told.stderr.includes("SANDBOX_LIMIT_IGNORED")) return;
    expect(errorCode(told)).toBe("BUILD_RUN_FAILED");
  });

  test("--resource and --cgroup-parent place the step, or say why not", async () => {
    const place = await context({ Dockerfile: "FROM BUSYBOX\nRUN cat /proc/self/cgroup\n" });
    const flags = ["--resource", "cpu-shares=64,cpuset-cpus=0", "--cgroup-parent", "/tsbuild-e2e"];
    onTestFinished(async () => {
      const hierarchies = await readdir("/sys/fs/cgroup");
      for (const name of ["", ...hierarchies])
        await rmdir(join("/sys/fs/cgroup", name, "tsbuild-e2e")).catch(() => undefined);
    });
    const { stderr } = await expectCli([...plain, ...flags, place]);
    expect(stderr).toMatch(/\/tsbuild-e2e\/tsbuild-\d+-|SANDBOX_LIMIT_IGNORED/);
    expect((await cli(["--resource", "magic=1", place])).code).toBe(2);
  });
});

describe("--ssh", () => {
  const dockerfile = `FROM BUSYBOX\nRUN --mount=type=ssh,mode=0640,uid=5,gid=6 stat -c '%a %u:%g' $SSH_AUTH_SOCK; test -S $SSH_AUTH_SOCK && echo socket at $SSH_AUTH_SOCK\n`;

  async function folderWithKey(): Promise<{ readonly folder: string; readonly key: string }> {
    const folder = await mkdtemp(join(tmpdir(), "tsbuild-ssh-"));
    onTestFinished(async () => rm(folder, { recursive: true, force: true }));
    const key = join(folder, "key");
    await runProgram("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "told", "-f", key]);
    return { folder, key };
  }

  test("an agent's socket with the looks that are asked for; the variable tells where [3.19, 3.37]", async () => {
    const { folder } = await folderWithKey();
    const socket = join(folder, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: ["ignore", "pipe", "ignore"] });
    onTestFinished(() => void agent.kill());
    await once(agent.stdout, "data");
    const place = await context({ Dockerfile: dockerfile });
    const { stderr } = await expectCli([...plain, "--ssh", "default", place], {
      env: { SSH_AUTH_SOCK: socket },
    });
    expect(stderr).toContain("640 5:6");
    expect(stderr).toContain("socket at /run/buildkit/ssh_agent.0");
  });

  test("key files, also those that others may read; the agent ends with the build [3.37]", async () => {
    const { key } = await folderWithKey();
    await chmod(key, 0o644);
    const place = await context({
      Dockerfile:
        "FROM BUSYBOX\nCOPY fs /\nRUN --mount=type=ssh,id=mine,required ssh-add -l; ssh-add -D; ssh-add -l\n",
    });
    await addProgram(join(place, "fs"), "/usr/bin/ssh-add");
    const { stderr } = await expectCli([...plain, "--ssh", `mine=${key}`, place]);
    // Removing all keys is refused: they are there twice.
    expect(stderr.match(/256 SHA256:\S+ \S+ \(ED25519\)/g)).toHaveLength(2);
    expect(stderr).toContain("Failed to remove all identities");
    const agents = findMarkedProcesses("agent.sock").filter(({ pid }) =>
      readlinkSync(`/proc/${String(pid)}/cwd`).startsWith(workspace.root),
    );
    expect(agents).toEqual([]);
  });

  test("absent: no mount; required and absent: an error [3.37]", async () => {
    const place = await context({
      Dockerfile:
        "FROM BUSYBOX\nRUN --mount=type=ssh ls /run/buildkit 2>&1; echo [$SSH_AUTH_SOCK]\n",
    });
    const { stderr } = await expectCli([...plain, place]);
    expect(stderr).toContain("No such file");
    const required = await context({
      Dockerfile: "FROM BUSYBOX\nRUN --mount=type=ssh,required ls\n",
    });
    const told = await cli([required]);
    expect(errorCode(told)).toBe("BUILD_SSH_NOT_FOUND");
    expect(told.stderr).toContain("unset ssh forward key default");
  });
});

/** Copies a program of the host with its libraries below `root`. */
async function addProgram(root: string, program: string): Promise<void> {
  const libraries = (await runProgram("ldd", [program])).matchAll(/(\/\S+) \(0x/g);
  for (const path of [program, ...Array.from(libraries, ([, library = ""]) => library)]) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await copyFile(path, join(root, path));
  }
}

/** A command that has to wait does not end in this time, however fast the machine is. */
async function isOverWithin(running: RunningCli, milliseconds: number): Promise<boolean> {
  return Promise.race([running.done.then(() => true), sleep(milliseconds).then(() => false)]);
}

describe("cache mounts of builds at the same time", () => {
  const folderFor = (sharing: string, name: string, script: string): Promise<string> =>
    context({
      Dockerfile: `FROM BUSYBOX\nRUN --mount=type=cache,id=busy-${sharing},sharing=${sharing},target=/c : ${sharing} ${name}; ${script}\n`,
    });
  test.each([
    ["locked", "free"],
    ["shared", "held"],
    ["private", "free"],
  ])("%s: the second sees it %s [3.33]", async (sharing, expected) => {
    const gate = await startGate();
    const holding = `touch /c/held; echo hold''ing; ${gate.wait}; rm /c/held`;
    const first = startCli([...plain, await folderFor(sharing, "first", holding)], {
      root: workspace.root,
    });
    await first.seen(" holding");
    const look = "if [ -e /c/held ]; then echo now held; else echo now free; fi";
    const second = startCli([...plain, await folderFor(sharing, "second", look)], {
      root: workspace.root,
    });
    // Only one that waits for the first one's end leaves it no other way than to end.
    if (sharing === "locked") {
      expect(await isOverWithin(second, 1000)).toBe(false);
      gate.open();
    }
    const { code, stderr } = await second.done;
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`now ${expected}`);
    gate.open();
    expect((await first.done).code).toBe(0);
  });

  test("locked, after kill -9 of the one that held it [3.33]", async () => {
    const hold = "echo a >> /c/killed; echo hold''ing; sleep 60";
    const first = startCli([...plain, await folderFor("locked", "killed", hold)], {
      root: workspace.root,
    });
    await first.seen(" holding");
    process.kill(first.process.pid ?? 0, "SIGKILL");
    await first.done;
    const { stderr } = await expectCli([
      ...plain,
      await folderFor("locked", "after", "echo found $(cat /c/killed)"),
    ]);
    expect(stderr).toContain("found a");
  });

  test("locked, after kill -9 while the step still runs: the next one waits for its end [3.33]", async () => {
    const hold = "echo a >> /c/slow; echo hold''ing; sleep 60; :";
    const first = startCli([...plain, await folderFor("locked", "slow", hold)], {
      root: workspace.root,
    });
    await first.seen(" holding");
    const pid = first.process.pid ?? 0;
    const [guard = 0] = childrenOf(pid);
    process.kill(guard, "SIGSTOP");
    const [supervisor = 0] = childrenOf(guard);
    onTestFinished(() => void process.kill(guard, "SIGCONT"));
    process.kill(pid, "SIGKILL");
    await first.done;
    const second = startCli(
      [...plain, await folderFor("locked", "next", "echo found $(cat /c/slow)")],
      { root: workspace.root },
    );
    expect(await isOverWithin(second, 1500)).toBe(false);
    expect(existsSync(`/proc/${String(supervisor)}`)).toBe(true);
    process.kill(guard, "SIGCONT");
    expect((await second.done).stderr).toContain("found a");
  });

  test("system df counts them, prune removes what nobody uses [6.18]", async () => {
    const root = await workspace.freshRoot();
    const write = await context({
      Dockerfile:
        "FROM BUSYBOX\nRUN --mount=type=cache,target=/c head -c 1000000 /dev/zero > /c/f\n",
    });
    await expectCli([write], { root });
    const cacheSize = async (): Promise<number> => {
      const { stdout } = await expectCli(["system", "df", "--format", "json"], { root });
      const rows = JSON.parse(stdout) as { readonly type: string; readonly size: number }[];
      return rows.find(({ type }) => type === "Build Cache")?.size ?? 0;
    };
    expect(await cacheSize()).toBeGreaterThan(1_000_000);
    const gate = await startGate();
    const hold = await context({
      Dockerfile: `FROM BUSYBOX\nRUN --mount=type=cache,target=/c echo hold''ing; ${gate.wait}; ls /c\n`,
    });
    const running = startCli([...plain, hold], { root });
    await running.seen(" holding");
    await expectCli(["builder", "prune"], { root });
    gate.open();
    expect((await running.done).stderr).toMatch(/ f\n/);
    await expectCli(["builder", "prune"], { root });
    expect(await cacheSize()).toBeLessThan(1_000_000);
  });
});
