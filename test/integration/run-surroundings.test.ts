import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { expectCode } from "../support/expect-code.ts";
import { useRunBuilds, type RunBuilds } from "../support/run-builds.ts";

describe.each(["builtin", "oci"] as const)("the surroundings of RUN in the %s sandbox", (kind) => {
  const builds = useRunBuilds(kind);
  describe("the command", () => commands(builds));
  describe("the user", () => users(builds));
  describe("the sandbox", () => sandbox(builds));
  describe("what the command line gives", () => settings(builds));
});

function commands(builds: RunBuilds): void {
  test("shell form goes to SHELL, exec form runs as it is, ENTRYPOINT is nobody's business [3.16]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        'ENTRYPOINT ["/bin/false"]',
        "RUN echo one   $((1+1)) 'three  four'",
        'RUN ["echo", "$HOME", "a  b"]',
        'SHELL ["/bin/sh", "-e", "-c"]',
        "RUN echo shell is $0 $-",
      ].join("\n"),
    );
    expect(told).toMatch(/^one 2 three {2}four\n\$HOME a {2}b\nshell is \S+ \w*e\w*\n$/);
  });

  test("a failure tells the command and its exit code [3.18]", async () => {
    await expect(builds.harness.build("FROM base\nRUN exit 1")).rejects.toMatchObject({
      code: "BUILD_RUN_FAILED",
      message: 'process "/bin/sh -c exit 1" did not complete successfully: exit code: 1',
    });
    const named = "FROM base\nRUN printf '#!/bin/sh\\nexit 1\\n' > /bin/x && chmod 755 /bin/x";
    await expect(builds.harness.build(`${named}\nRUN x`)).rejects.toMatchObject({
      message: 'process "/bin/sh -c x" did not complete successfully: exit code: 1',
    });
    await expect(builds.harness.build('FROM base\nRUN ["false"]')).rejects.toMatchObject({
      message: 'process "false" did not complete successfully: exit code: 1',
    });
  });

  test("a file that cannot be executed is told plainly [3.18]", async () => {
    const made = "FROM base\nRUN echo 'echo x' > /prog && chmod 755 /prog && touch /plain";
    await expect(builds.harness.build(`${made}\nRUN ["/prog"]`)).rejects.toMatchObject({
      code: "SANDBOX_EXEC_FORMAT",
      message: expect.stringContaining("exec format error"),
      location: { line: 3 },
    });
    await expect(builds.harness.build(`${made}\nRUN ["/plain"]`)).rejects.toMatchObject({
      code: "SANDBOX_EXEC_NOT_EXECUTABLE",
      message: expect.stringContaining("permission denied"),
    });
  });

  test("the environment is the stage's, with PATH and HOME, and nothing of the host's [3.19]", async () => {
    process.env["TSBUILD_TEST_LEAK"] = "leaked";
    const told = await builds.run(
      "FROM base\nARG given=1 unset\nENV own=2\nUSER bob\nRUN env | sort",
      { buildArgs: { HTTP_PROXY: "http://proxy.test" } },
    );
    delete process.env["TSBUILD_TEST_LEAK"];
    const names = told.split("\n").map((line) => line.replace(/=.*/, ""));
    expect(names.filter((name) => !["", "SHLVL", "PWD", "_"].includes(name))).toEqual([
      "HOME",
      "HTTP_PROXY",
      "PATH",
      "given",
      "http_proxy",
      "own",
    ]);
    expect(told).toContain("HOME=/home/bob\n");
  });

  test("a working directory that is missing is made for the user [3.20]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        "USER bob",
        "WORKDIR /made/deep",
        "USER root",
        "RUN rm -r /made",
        "USER bob",
        "RUN stat -c '%a %U %n' /made /made/deep && pwd",
      ].join("\n"),
    );
    expect(told).toBe("755 bob /made\n755 bob /made/deep\n/made/deep\n");
  });

  test("standard input is empty [3.22]", async () => {
    expect(await builds.run("FROM base\nRUN wc -c")).toBe("0\n");
  });
}

function users(builds: RunBuilds): void {
  test.each([
    ["", "0 0 [0]", "nothing is root"],
    ["bob", "1000 1000 [1000 10]", "a name with all its groups"],
    ["1000", "1000 1000 [1000 10]", "a number that is known"],
    ["4321", "4321 0 [0]", "a number that is not has group 0"],
    ["bob:wheel", "1000 10 [10]", "only the group that is given"],
    ["12:34", "12 34 [34]", "two numbers need no account"],
    ["0:34", "0 34 [34]", "root in another group"],
  ])("%j is %s: %s [3.21]", async (user, expected) => {
    const line = user === "" ? "" : `USER ${user}\n`;
    const told = await builds.run(
      `FROM base\nRUN true ${user}\n${line}RUN echo "$(id -u) $(id -g) [$(id -G)]"`,
    );
    const [, ids = "", groups = ""] = /^(.*) \[(.*)\]\n$/.exec(told) ?? [];
    const sorted = groups.split(" ").sort().join(" ");
    const [wantedIds = "", wanted = ""] = expected.slice(0, -1).split(" [");
    expect([ids, sorted]).toEqual([wantedIds, wanted.split(" ").sort().join(" ")]);
  });

  test.each(["nobody-here", "bob:nogroup-here"])("%s is not found [3.21]", async (user) => {
    await expect(builds.harness.build(`FROM base\nUSER ${user}\nRUN id`)).rejects.toMatchObject({
      code: "SANDBOX_USER_UNKNOWN",
      message: expect.stringMatching(/^unable to find (?:user|group)/),
      location: { line: 3 },
    });
  });

  test("an unknown name tells: unable to find user [3.21]", async () => {
    await expect(builds.harness.build("FROM base\nUSER ghost\nRUN id")).rejects.toMatchObject({
      message: "unable to find user ghost",
    });
  });
}

function sandbox(builds: RunBuilds): void {
  test("host name, and another by BUILDKIT_SANDBOX_HOSTNAME [3.22]", async () => {
    const dockerfile = "FROM base\nRUN hostname && grep -cw $(hostname) /etc/hosts";
    expect(await builds.run(dockerfile)).toBe("buildkitsandbox\n1\n");
    const named = { buildArgs: { BUILDKIT_SANDBOX_HOSTNAME: "my-box" } };
    expect(await builds.run(dockerfile, named)).toBe("my-box\n1\n");
  });

  test("/etc/hosts and /etc/resolv.conf are generated, read-only, and in no layer [3.22]", async () => {
    const built = await builds.harness.build(
      'FROM base\nRUN for f in hosts resolv.conf; do grep -c " /etc/$f .*[ ,]ro[, ]" /proc/mounts; echo x >> /etc/$f || rm /etc/$f || true; done 2>/dev/null; cat /etc/resolv.conf',
    );
    expect(builds.harness.output()).toBe(`1\n1\n${readFileSync("/etc/resolv.conf", "utf8")}`);
    expect(await builds.topLayer(built)).toEqual([]);
  });

  test("/run is a part of the image [3.22]", async () => {
    const told = await builds.run(
      "FROM base\nRUN touch /run/kept\nRUN ls /run; grep -c ' /run ' /proc/mounts || true",
    );
    expect(told).toBe("kept\n0\n");
  });

  test("capabilities and system call filter are Docker's [3.22]", async () => {
    const told = await builds.run(
      "FROM base\nRUN grep -E '^(CapBnd|CapEff|Seccomp):' /proc/self/status",
    );
    expect(told).toMatch(/^CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n$/m);
  });

  test("control groups can be seen and not changed [3.22]", async () => {
    const told = await builds.run(
      "FROM base\nRUN grep -E ' cgroup2? ' /proc/mounts; for d in /sys/fs/cgroup/*/; do mkdir $d/new 2>/dev/null && echo made; done; true",
    );
    expect(told).not.toContain("made");
    const mounts = told.trim().split("\n");
    expect(mounts.length).toBeGreaterThan(0);
    for (const mount of mounts) expect(mount).toMatch(/ \/sys\/fs\/cgroup\S* cgroup2? ro,/);
  });

  test("network none has the loopback alone [3.24]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --network=none ls /sys/class/net; ip addr show lo | grep -c 127.0.0.1",
    );
    expect(told).toBe("lo\n1\n");
  });

  test("network host needs an entitlement, and then is the host's [3.24]", async () => {
    const dockerfile = "FROM base\nRUN --network=host readlink /proc/self/ns/net";
    await expect(builds.harness.build(dockerfile)).rejects.toMatchObject({
      code: "PLAN_ENTITLEMENT_MISSING",
      message: "entitlement network.host is not allowed",
    });
    const planning = { entitlements: new Set(["network.host"] as const) };
    expect(await builds.run(dockerfile, { planning })).toBe(
      `net:[${/\d+/.exec(await hostNetwork())?.[0] ?? ""}]\n`,
    );
  });

  test("security insecure needs an entitlement; then: all capabilities, devices, writable sysfs [3.25]", async () => {
    const dockerfile =
      "FROM base\nRUN --security=insecure grep -E '^(CapEff|Seccomp):' /proc/self/status; awk '$2==\"/sys\"{print $4}' /proc/mounts | grep -c ^rw; awk '$2 ~ \"^/sys/fs/cgroup\"{print $4}' /proc/mounts | grep -vc ^rw; mknod /tmp/null c 1 3 && echo x > /tmp/null && echo opened; ls /dev | wc -l; mount -t tmpfs none /mnt && echo mounted";
    await expect(builds.harness.build(dockerfile)).rejects.toMatchObject({
      code: "PLAN_ENTITLEMENT_MISSING",
      message: "entitlement security.insecure is not allowed",
    });
    const planning = { entitlements: new Set(["security.insecure"] as const) };
    const told = await builds.run(dockerfile, { planning });
    const own = /^CapPrm:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "?";
    expect(told).toContain(`CapEff:\t${own}\nSeccomp:\t0\n1\n0\n`);
    expect(told).toContain("opened\n");
    expect(told).toContain("mounted\n");
    expect(Number(/^(\d+)$/m.exec(told.split("opened\n")[1] ?? "")?.[1])).toBeGreaterThan(14);
  });
}

async function hostNetwork(): Promise<string> {
  const { readlink } = await import("node:fs/promises");
  return readlink("/proc/self/ns/net");
}

function settings(builds: RunBuilds): void {
  test("extra hosts are lines of /etc/hosts; only their names count for the cache [6.2, 6.3]", async () => {
    const dockerfile = "FROM base\nRUN grep extra /etc/hosts";
    const withHosts = (...hosts: [string, string][]) => ({
      planning: {
        runSettings: { extraHosts: hosts.map(([name, address]) => ({ name, address })) },
      },
    });
    expect(await builds.run(dockerfile, withHosts(["extra", "192.0.2.1"]))).toBe(
      "192.0.2.1\textra\n",
    );
    expect(await builds.run(dockerfile, withHosts(["extra", "192.0.2.2"]))).toBe("");
    const two = withHosts(["extra", "192.0.2.1"], ["extra6", "2001:db8::1"]);
    expect(await builds.run(dockerfile, two)).toContain("2001:db8::1\textra6\n");
  });

  test("limits of resources, and the size of /dev/shm [6.2]", async () => {
    const runSettings = {
      ulimits: [
        { name: "nofile", soft: 512, hard: 768 },
        { name: "core", soft: -1, hard: -1 },
        { name: "fsize", soft: 1048576, hard: 2097152 },
      ],
      shmSize: 8 * 1024 * 1024,
    };
    const dockerfile =
      "FROM base\nRUN ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -f; df -k /dev/shm | awk 'NR==2{print $2}'";
    expect(await builds.run(dockerfile, { planning: { runSettings } })).toBe(
      "512\n768\nunlimited\n2048\n8192\n",
    );
    expect(await builds.run(dockerfile)).not.toBe("");
  });

  test("proxies and limits are not in the key, user, cwd and environment are [6.2, 6.3]", async () => {
    const dockerfile = (before: string): string => `FROM base\nARG a\n${before}\nRUN echo ran`;
    const buildArgs = { HTTP_PROXY: "http://one.test" };
    expect(await builds.run(dockerfile(""), { buildArgs })).toBe("ran\n");
    expect(await builds.run(dockerfile(""), { buildArgs: { HTTP_PROXY: "http://two" } })).toBe("");
    expect(await builds.run(dockerfile(""), { given: { limits: { cpuShares: 512 } } })).toBe("");
    expect(await builds.run(`# why\n${dockerfile("LABEL x=y")}`)).toBe("");
    for (const change of ["USER bob", "WORKDIR /w", "ENV b=c"]) {
      expect(await builds.run(dockerfile(change))).toBe("ran\n");
    }
    expect(await builds.run(dockerfile(""), { buildArgs: { a: "1" } })).toBe("ran\n");
  });

  test("a step stays below its memory limit [6.3]", async () => {
    const given = { limits: { memory: 24 * 1024 * 1024, memorySwap: 24 * 1024 * 1024 } };
    const hungry = "head -c 100000000 /dev/zero | tail -c 90000000 | wc -c";
    const told = await builds.run(`FROM base\nRUN ${hungry} || true`, { given });
    expect(told).not.toContain("90000000");
  });

  test("a broken limit of the spec is refused [6.2]", async () => {
    const runSettings = { ulimits: [{ name: "nonsense", soft: 1, hard: 1 }] };
    await expectCode(
      builds.harness.build("FROM base\nRUN true # broken", { planning: { runSettings } }),
      "SANDBOX_SPEC_INVALID",
    );
  });
}
