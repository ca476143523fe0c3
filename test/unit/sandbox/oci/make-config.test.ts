import { describe, expect, test } from "vitest";
import type { Host } from "../../../../src/sandbox/builtin/host.ts";
import { makeRuntimeConfig } from "../../../../src/sandbox/oci/make-config.ts";
import type { RuntimeConfig } from "../../../../src/sandbox/oci/runtime-config.ts";
import type { SandboxSpec } from "../../../../src/sandbox/index.ts";

const host: Host = {
  arch: "x64",
  kernelRelease: "6.1.0",
  lastCapability: 40,
  capabilities: (1n << 41n) - 1n,
  bounding: (1n << 41n) - 1n,
  maxOpenFiles: 4096,
  maskedPaths: [{ path: "/proc/kcore", isDirectory: false }],
  readOnlyPaths: ["/proc/sys"],
  cgroups: "v1",
};

const plain: SandboxSpec = {
  rootfs: { type: "directory", path: "/r", readOnly: false },
  argv: ["/bin/true", ""],
  env: ["A=b"],
  cwd: "/w",
  user: { uid: 0, gid: 0, groups: [0, 10], home: "/root" },
  hostname: "h",
  network: "host",
  mounts: [],
  security: "sandbox",
};

const configOf = (spec: Partial<SandboxSpec> = {}, onHost: Partial<Host> = {}): RuntimeConfig =>
  makeRuntimeConfig({
    spec: { ...plain, ...spec },
    host: { ...host, ...onHost },
    rootPath: "/bundle/rootfs",
    cgroupsPath: "tsbuild-1",
    stagedPaths: new Map([["/t", "/bundle/tmpfs-0"]]),
  });

const namespaces = (config: RuntimeConfig): readonly string[] =>
  config.linux.namespaces.map(({ type }) => type);

describe("the process", () => {
  test("of root", () => {
    const { process } = configOf();
    expect(process).toMatchObject({
      terminal: false,
      user: { uid: 0, gid: 0, umask: 0o022, additionalGids: [0, 10] },
      args: ["/bin/true", ""],
      env: ["A=b"],
      cwd: "/w",
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }],
      noNewPrivileges: false,
    });
    expect(process.capabilities.bounding).toHaveLength(14);
    expect(process.capabilities).toMatchObject({
      effective: process.capabilities.bounding,
      permitted: process.capabilities.bounding,
      inheritable: [],
      ambient: [],
    });
  });

  test("of another user holds no capabilities", () => {
    const { capabilities } = configOf({
      user: { uid: 5, gid: 6, groups: [6], home: "/" },
    }).process;
    expect(capabilities.bounding).toHaveLength(14);
    expect([capabilities.effective, capabilities.permitted]).toEqual([[], []]);
  });

  test("a low hard limit of open files bounds the soft one", () => {
    const [limit] = configOf({}, { maxOpenFiles: 256 }).process.rlimits;
    expect(limit).toMatchObject({ soft: 256, hard: 256 });
  });
});

describe("linux", () => {
  test("namespaces follow the network and the cgroup version", () => {
    expect(namespaces(configOf())).toEqual(["pid", "mount", "ipc", "uts"]);
    expect(namespaces(configOf({ network: "none" }))).toContain("network");
    expect(namespaces(configOf({}, { cgroups: "v2" }))).toContain("cgroup");
  });

  test("devices may be made, not opened", () => {
    expect(configOf().linux.resources.devices).toEqual([
      { allow: false, access: "rwm" },
      { allow: true, type: "c", access: "m" },
      { allow: true, type: "b", access: "m" },
    ]);
  });

  test("system calls are filtered by name", () => {
    const { seccomp } = configOf().linux;
    expect(seccomp).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
    expect(seccomp?.architectures).toContain("SCMP_ARCH_X86_64");
    const clone = seccomp?.syscalls.find(({ names }) => names.includes("clone"));
    expect(clone).toEqual({
      names: ["clone"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    });
    const clone3 = seccomp?.syscalls.find(({ names }) => names.includes("clone3"));
    expect(clone3).toMatchObject({ action: "SCMP_ACT_ERRNO", errnoRet: 38 });
    expect(seccomp?.syscalls.flatMap(({ names }) => names)).not.toContain("mount");
  });

  test("insecure lifts all of it", () => {
    const config = configOf({ security: "insecure" });
    expect(config.linux).toMatchObject({
      maskedPaths: [],
      readonlyPaths: [],
      resources: { devices: [{ allow: true, access: "rwm" }] },
    });
    expect(config.linux.seccomp).toBeUndefined();
    expect(config.process.capabilities.effective).toHaveLength(41);
    expect(config.mounts.find(({ destination }) => destination === "/sys")?.options).toContain(
      "rw",
    );
  });
});

describe("mounts", () => {
  test("follow the standard ones, parents first", () => {
    const config = configOf({
      mounts: [
        { type: "bind", source: "/s/inner", target: "/m/inner", readOnly: true },
        { type: "tmpfs", target: "/t", sizeBytes: 4096, mode: 0o700, readOnly: true },
        { type: "bind", source: "/s", target: "/m", readOnly: false },
      ],
    });
    const own = config.mounts.slice(configOf().mounts.length);
    expect(own).toEqual([
      {
        destination: "/m",
        type: "bind",
        source: "/s",
        options: ["rbind", "rprivate", "nodev", "rw"],
      },
      {
        destination: "/m/inner",
        type: "bind",
        source: "/s/inner",
        options: ["rbind", "rprivate", "nodev", "ro", "rro"],
      },
      {
        destination: "/t",
        type: "bind",
        source: "/bundle/tmpfs-0",
        options: ["rbind", "rprivate", "nosuid", "nodev", "ro", "rro"],
      },
    ]);
  });

  test("cgroups are shown where there are any", () => {
    const targets = (config: RuntimeConfig): readonly string[] =>
      config.mounts.map(({ destination }) => destination);
    expect(targets(configOf())).toContain("/sys/fs/cgroup");
    expect(targets(configOf({}, { cgroups: "none" }))).not.toContain("/sys/fs/cgroup");
  });

  test.each<[Partial<SandboxSpec>, boolean]>([
    [{}, false],
    [{ readOnlyRootfs: true }, true],
    [{ rootfs: { type: "directory", path: "/r", readOnly: true } }, true],
    [{ rootfs: { type: "overlay", lower: ["/a"] } }, true],
    [{ rootfs: { type: "overlay", lower: ["/a"], upper: "/u", work: "/w" } }, false],
  ])("root of %j is read-only: %s", (spec, readonly) => {
    expect(configOf(spec).root).toEqual({ path: "/bundle/rootfs", readonly });
  });
});
