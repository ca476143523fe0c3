import { execFile } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { endOf } from "../../src/sandbox/builtin/command-end.ts";
import type { CommandEnd } from "../../src/sandbox/builtin/command-end.ts";
import { buildElf, elfMachine } from "../../src/sandbox/builtin/elf.ts";
import { encodeProgram, isMachineArch } from "../../src/sandbox/builtin/encode.ts";
import { isKernelAtLeast, readHost } from "../../src/sandbox/builtin/host.ts";
import type { Host } from "../../src/sandbox/builtin/host.ts";
import { lowerOps } from "../../src/sandbox/builtin/lower-ops.ts";
import { planStep } from "../../src/sandbox/builtin/plan-step.ts";
import type { Argument, SyscallName } from "../../src/sandbox/builtin/program.ts";
import { at, textDatum } from "../../src/sandbox/builtin/program.ts";
import { ReportReader } from "../../src/sandbox/builtin/report.ts";
import { runProgram } from "../../src/sandbox/builtin/run-program.ts";
import { loadSyscalls } from "../../src/core/index.ts";
import { openBuiltinSandbox } from "../../src/sandbox/builtin/index.ts";
import type { Sandbox, SandboxResult, SandboxSpec } from "../../src/sandbox/index.ts";
import { createBusyboxRoot, whyNoBusybox } from "../support/busybox-root.ts";
import { bundleScript } from "../support/bundle-script.ts";
import type { SandboxStepRequest } from "../support/sandbox-step.ts";

/** What the builtin sandbox does by itself; what every sandbox promises is the contract suite's. */

const [EPERM, ENOSYS] = [1, 38];
const bob = { uid: 1000, gid: 1000, groups: [1000], home: "/" };

let directory = "";
let root = "";
let stateDir = "";
let sandbox: Sandbox;
let reason: string | undefined;

beforeAll(async () => {
  reason = process.getuid?.() === 0 ? await whyNoBusybox() : "needs root";
  directory = await mkdtemp(join(tmpdir(), "tsbuild-builtin-"));
  if (reason !== undefined) return;
  root = join(directory, "root");
  stateDir = join(directory, "state");
  await createBusyboxRoot(root);
  sandbox = await openBuiltinSandbox({ stateDir });
});
beforeEach((test) => {
  if (reason !== undefined) test.skip(reason);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function specOf(rest: Partial<SandboxSpec> & { readonly script?: string }): SandboxSpec {
  const { script = "true", ...spec } = rest;
  return {
    rootfs: { type: "directory", path: root, readOnly: false },
    argv: ["/bin/sh", "-c", script],
    env: ["PATH=/bin"],
    cwd: "/",
    user: { uid: 0, gid: 0, groups: [0], home: "/root" },
    hostname: "step",
    network: "host",
    mounts: [],
    security: "sandbox",
    ...spec,
  };
}

interface Finished extends SandboxResult {
  readonly bytes: Buffer;
}

async function run(rest: Parameters<typeof specOf>[0], signal?: AbortSignal): Promise<Finished> {
  const chunks: Buffer[] = [];
  const stdio = {
    stdin: "null",
    output: (_: string, chunk: Buffer) => chunks.push(chunk),
  } as const;
  const result = await sandbox.run(specOf(rest), stdio, signal);
  return { ...result, bytes: Buffer.concat(chunks) };
}

async function read(script: string, rest: Partial<SandboxSpec> = {}): Promise<string> {
  const { exitCode, bytes } = await run({ ...rest, script });
  expect({ exitCode, text: bytes.toString() }).toMatchObject({ exitCode: 0 });
  return bytes.toString().trim();
}

/** Puts a program that makes one system call into the root, runs it, and answers the errno. */
async function errnoOf(name: SyscallName, args: readonly Argument[]): Promise<number | undefined> {
  const arch = process.arch;
  if (!isMachineArch(arch)) throw new Error(`no programs for ${arch}`);
  const fail = { type: "fail" } as const;
  const program = encodeProgram(
    [
      // Reports go to descriptor 3: here that is stdout.
      { id: 0, name: "dup3", args: [1, 3, 0], onError: fail },
      { id: 1, name, args, onError: fail },
      { id: 2, name: "exit_group", args: [0], onError: fail },
    ],
    arch,
  );
  await writeFile(join(root, "call"), program, { mode: 0o755 });
  const { bytes } = await run({ argv: ["/call"] });
  const [report] = new ReportReader().push(bytes);
  return report?.type === "failed" ? report.errno : undefined;
}

test("a layer's own redirect, which a stranger may have planted, is not followed", async () => {
  const kernel = await loadSyscalls();
  const [top, bottom] = [join(directory, "planted"), join(directory, "secrets")];
  const [upper, work] = [join(directory, "redirect-upper"), join(directory, "redirect-work")];
  for (const path of [join(top, "open"), join(bottom, "hidden"), upper, work]) {
    await mkdir(path, { recursive: true });
  }
  await writeFile(join(bottom, "hidden/key"), "secret");
  kernel.lsetxattr(join(top, "open"), "trusted.overlay.redirect", Buffer.from("/hidden"));
  const script = "cat /open/key; ls -A /open";
  const { bytes } = await run({
    script,
    rootfs: { type: "overlay", lower: [top, bottom, root], upper, work },
  });
  expect(bytes.toString()).not.toContain("secret");
});

describe("system call filter", () => {
  const newUser = 0x10000000;
  test.each<[string, SyscallName, readonly Argument[], number | undefined]>([
    ["a new user namespace by unshare", "unshare", [newUser], EPERM],
    ["a new user namespace by clone", "clone", [newUser, 0, 0, 0, 0], EPERM],
    ["keyrings", "keyctl", [0, -3, 0, 0, 0], EPERM],
    ["detached mounts", "fsopen", [at(textDatum("tmpfs")), 0], EPERM],
    ["the kernel's ciphers", "socket", [38, 5, 0], EPERM],
    ["the hypervisor", "socket", [40, 1, 0], EPERM],
    ["the internet", "socket", [2, 1, 0], undefined],
    ["an ordinary call", "umask", [0], undefined],
  ])("%s", async (_what, name, args, expected) => {
    expect(await errnoOf(name, args)).toBe(expected);
  });

  test("clone3 is not there, so that C libraries fall back to clone", async (test) => {
    const python = "/usr/bin/python3";
    if (!existsSync(python)) test.skip("python3, to make calls by number, is missing");
    const code =
      "import ctypes; c = ctypes.CDLL(None, use_errno=True); " +
      "print([(c.syscall(n, 0, 0, 0, 0), ctypes.get_errno())[1] for n in (435, 467, 600)])";
    const output = await read(`${python} -c '${code}'`, {
      rootfs: { type: "directory", path: "/", readOnly: true },
    });
    expect(output).toBe(`[${ENOSYS}, ${ENOSYS}, ${ENOSYS}]`);
  });

  test("is kept compiled, and compiled again when what was kept is not whole", async () => {
    const cacheDir = join(directory, "cache");
    const open = () => openBuiltinSandbox({ stateDir, cacheDir });
    const seccompOf = async (opened: Sandbox): Promise<string> => {
      let text = "";
      const spec = specOf({ script: "grep Seccomp: /proc/self/status" });
      await opened.run(spec, { stdin: "null", output: (_, chunk) => (text += chunk.toString()) });
      return text.trim();
    };
    expect(await seccompOf(await open())).toBe("Seccomp:\t2");
    const files = readdirSync(cacheDir);
    expect(files).toEqual([expect.stringMatching(/^seccomp-[0-9a-f]+\.bpf$/)]);
    const path = join(cacheDir, files[0] ?? "");
    const bytes = readFileSync(path);
    await truncate(path, 1001);
    expect(await seccompOf(await open())).toBe("Seccomp:\t2");
    expect(readFileSync(path)).toEqual(bytes);
  });
});

describe("root filesystems", () => {
  /** Directories with one file each; the topmost is the busybox root. */
  async function makeLayers(count: number, nameOf: (i: number) => string): Promise<string[]> {
    const layers = Array.from({ length: count }, (_, i) => join(directory, nameOf(i)));
    for (const [i, layer] of layers.entries()) {
      await mkdir(layer, { recursive: true });
      await writeFile(join(layer, `file-${i}`), "");
    }
    return layers;
  }

  async function makeWritable(name: string): Promise<{ upper: string; work: string }> {
    const [upper, work] = [join(directory, name, "upper"), join(directory, name, "work")];
    for (const path of [upper, work]) await mkdir(path, { recursive: true });
    return { upper, work };
  }

  test("300 layers", async (test) => {
    const host = readHost();
    if (!isKernelAtLeast(host.kernelRelease, [6, 7])) test.skip("lowerdir+ came in Linux 6.7");
    const layers = await makeLayers(300, (i) => `many/${i}/fs`);
    const rootfs = {
      type: "overlay",
      lower: [root, ...layers],
      ...(await makeWritable("many/top")),
    } as const;
    expect(await read("ls / | grep -c ^file-; echo x > /written", { rootfs })).toBe("300");
    expect(readdirSync(rootfs.upper)).toEqual(["written"]);
  });

  test("paths with every special character, and longer than an option may be", async () => {
    const long = "long-".repeat(40);
    const layers = await makeLayers(3, (i) => `odd, a:b\\c ${long}/${long}/${i}`);
    const rootfs = {
      type: "overlay",
      lower: [root, ...layers],
      ...(await makeWritable(`odd, u:v\\w ${long}/${long}`)),
    } as const;
    expect(await read("ls / | grep -c ^file-; echo x > /written", { rootfs })).toBe("3");
    expect(readdirSync(rootfs.upper)).toEqual(["written"]);
  });

  test("no path of the host is seen inside", async () => {
    const rootfs = {
      type: "overlay",
      lower: [root],
      ...(await makeWritable("unseen")),
    } as const;
    const text = await read("cat /proc/self/mountinfo /proc/mounts", { rootfs });
    expect(text).not.toContain(directory);
  });

  test("kernels before 6.7 get all layers in one string of short names", async () => {
    const layers = await makeLayers(200, (i) => `old,k:l/${i}/fs`);
    const top = await makeWritable("old,k:l/top");
    await createBusyboxRoot(join(directory, "old,k:l/root"));
    const lower = [join(directory, "old,k:l/root"), ...layers];
    for (const writable of [top, {}]) {
      const rootfs = { type: "overlay", lower, ...writable } as const;
      const script = "ls / | grep -c ^file-; echo x > /written";
      const { text, end } = await runOn({ kernelRelease: "6.1.0" }, { rootfs, script });
      expect(text).toMatch(/^200\n/);
      expect(end).toEqual({ exitCode: "upper" in writable ? 0 : 1 });
    }
    expect(readdirSync(top.upper)).toEqual(["written"]);
  });

  test("a layer that is missing is told as a failed mount of the root", async () => {
    const lower = [root, join(directory, "no-such-layer")];
    await expect(run({ rootfs: { type: "overlay", lower } })).rejects.toMatchObject({
      code: "SANDBOX_MOUNT_FAILED",
      details: { target: "/", errno: "ENOENT" },
    });
  });

  test("a mount whose target is missing is told with its target", async () => {
    const mounts = [{ type: "tmpfs", target: "/no/such" }] as const;
    await expect(run({ mounts })).rejects.toMatchObject({
      code: "SANDBOX_MOUNT_FAILED",
      details: { target: "/no/such", errno: "ENOENT" },
    });
  });

  test("read-only binds are so all the way down", async () => {
    // Full of mounts on every machine.
    const mounts = [{ type: "bind", source: "/sys", target: "/mnt", readOnly: true }] as const;
    const flags = await read("grep ' /mnt' /proc/self/mountinfo | cut -d' ' -f6", { mounts });
    const all = flags.split("\n");
    expect(all.length).toBeGreaterThan(1);
    expect(all.filter((line) => !line.startsWith("ro,"))).toEqual([]);
  });
});

test("hosts with the unified hierarchy: the step's own view of it, read-only", async () => {
  const script =
    "grep ' /sys/fs/cgroup ' /proc/self/mountinfo | cut -d' ' -f4,6; tail -n1 /proc/self/cgroup; mkdir /sys/fs/cgroup/x";
  const { text, end } = await runOn({ cgroups: "v2" }, { script });
  expect(text).toMatch(/^\/ ro,nosuid,nodev,noexec,relatime\n0::\/\n/);
  expect(end).toEqual({ exitCode: 1 });
});

/** Runs a step that is planned for a host that differs from this one. */
async function runOn(
  difference: Partial<Host>,
  rest: Parameters<typeof specOf>[0],
): Promise<{ text: string; end: CommandEnd }> {
  const host = { ...readHost(), ...difference };
  const spec = specOf(rest);
  const lowered = lowerOps(
    planStep({ spec, host, output: "pipes", staging: stateDir, filter: undefined }),
  );
  let text = "";
  const outcome = await runProgram({
    program: encodeProgram(lowered.calls, host.arch),
    lowered,
    place: { path: join(stateDir, "planned") },
    stdio: { stdin: "null", output: (_, chunk) => (text += chunk.toString()) },
  });
  return { text, end: endOf(outcome) };
}

describe("streams", () => {
  test.each([
    ["root", { uid: 0, gid: 0, groups: [0], home: "/" }],
    ["another user", bob],
  ])("%s can open /dev/stdout and /dev/stderr again", async (_who, user) => {
    const script = "echo one > /dev/stdout; echo two > /dev/stderr; echo three | tee /dev/stderr";
    expect((await read(script, { user })).split("\n").sort()).toEqual([
      "one",
      "three",
      "three",
      "two",
    ]);
  });

  test("inherited ones are this process' own", async () => {
    const { exitCode, stdout, stderr } = await runStep({ script: "cat; echo err >&2; exit 7" });
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 7, stdout: "in", stderr: "err\n" });
  });
});

describe("surroundings that lack something", () => {
  test("without libseccomp a warning is given, and steps run unfiltered", async (test) => {
    const { stdout: found } = await promisify(execFile)("sh", [
      "-c",
      "ldconfig -p | sed -n 's/.*libseccomp.so.2 .*=> //p' | head -n1",
    ]);
    const library = found.trim();
    if (library === "") test.skip("there is no libseccomp to hide");
    const { stdout, stderr } = await runStep({
      // No filter is kept there.
      stateDir: join(directory, "unfiltered"),
      prepare: `mount --bind /dev/null ${library}`,
      script: "grep Seccomp: /proc/self/status",
    });
    expect({ stdout, stderr }).toEqual({
      stdout: "Seccomp:\t0\n",
      stderr: "warning SANDBOX_SECCOMP_UNAVAILABLE\n",
    });
  });

  test("a state directory where nothing can be executed", async () => {
    const state = join(directory, "noexec");
    await mkdir(state);
    const { exitCode, stderr } = await runStep({
      stateDir: state,
      prepare: `mount -t tmpfs -o noexec none ${state}`,
      script: "true",
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 100, stderr: "error SANDBOX_UNSUPPORTED\n" });
  });

  test("a process without CAP_SYS_ADMIN", async () => {
    const { exitCode, stderr } = await runStep({
      wrapper: ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all"],
      script: "true",
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 100, stderr: "error SANDBOX_UNSUPPORTED\n" });
  });
});

/** One step in a process of its own, in a mount namespace of its own that `prepare` may change. */
async function runStep(step: {
  readonly script: string;
  readonly prepare?: string;
  readonly stateDir?: string;
  readonly wrapper?: readonly string[];
}): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const driver = await bundleScript("sandbox-step");
  const request: SandboxStepRequest = {
    stateDir: step.stateDir ?? join(directory, "driven-state"),
    root,
    script: step.script,
  };
  const script = `${step.prepare ?? ":"} && exec "$@"`;
  const node = [...(step.wrapper ?? []), process.execPath, driver, JSON.stringify(request)];
  return new Promise((resolve) => {
    const child = execFile(
      "unshare",
      ["-m", "sh", "-c", script, "sh", ...node],
      (error, stdout, stderr) => {
        resolve({ exitCode: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
      },
    );
    child.stdin?.end("in");
  });
}

describe("the end", () => {
  test("a crash is told as its signal", async (test) => {
    if (process.arch !== "x64") test.skip("the crash is x86-64 code");
    const program = buildElf({
      machine: elfMachine.x64,
      data: new Uint8Array(),
      code: Uint8Array.of(0x0f, 0x0b), // ud2
    });
    await writeFile(join(root, "crash"), program);
    await chmod(join(root, "crash"), 0o755);
    expect(await run({ argv: ["/crash"] })).toMatchObject({ signal: "SIGILL" });
  });

  test.each(["the waiting process", "the supervisor"])("%s is killed", async (which) => {
    const running = run({ script: "sleep 600" });
    const settled = expect(running).rejects.toMatchObject({ code: "SANDBOX_LOST" });
    const waiting = await findChild(process.pid, "tsbuild-step");
    const supervisor = await findChild(waiting, "tsbuild-step");
    const command = await findChild(supervisor, "sleep");
    process.kill(which === "the supervisor" ? supervisor : waiting, "SIGKILL");
    await settled;
    // Nobody is left who could wait for it: the kernel ends it in its own time.
    await expect.poll(() => existsSync(`/proc/${command}`)).toBe(false);
  });

  test("nothing is left: no descriptor, no file", async () => {
    await run({});
    const openFiles = (): number => readdirSync("/proc/self/fd").length;
    const before = openFiles();
    await Promise.all(Array.from({ length: 12 }, (_, i) => read(`echo ${i}`)));
    await expect(run({ argv: ["/nonesuch"] })).rejects.toThrow();
    await expect(run({ script: "sleep 60" }, AbortSignal.timeout(30))).rejects.toMatchObject({
      code: "CANCELED",
    });
    // What else this process has open for a moment is soon closed again.
    await expect.poll(openFiles).toBe(before);
    expect(readdirSync(stateDir).filter((name) => !name.endsWith(".bpf"))).toEqual([]);
  });
});

/** The child of `parent` whose command line has `word`; waits until there is one. */
async function findChild(parent: number, word: string): Promise<number> {
  // Threads and processes may end between two looks.
  const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  for (;;) {
    for (const thread of readdirSync(`/proc/${parent}/task`)) {
      const children = (await read(`/proc/${parent}/task/${thread}/children`)).split(" ");
      for (const child of children.filter((pid) => pid !== ""))
        if ((await read(`/proc/${child}/cmdline`)).includes(word)) return Number(child);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
