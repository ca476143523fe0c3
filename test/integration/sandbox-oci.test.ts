import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openSandbox } from "../../src/sandbox/index.ts";
import { sandboxContract } from "../contract/sandbox-contract.ts";
import { createBusyboxRoot, whyNoBusybox } from "../support/busybox-root.ts";

sandboxContract("oci", (places) => openSandbox("oci", places), {
  kill: { isolation: "oci", rounds: 20, withinMs: 600 },
});

describe("beyond the contract", () => {
  let folder = "";
  beforeEach(async (context) => {
    if (process.getuid?.() !== 0) context.skip("needs root");
    const reason = await whyNoBusybox();
    if (reason !== undefined) context.skip(reason);
    folder = await mkdtemp(join(tmpdir(), "tsbuild-oci-"));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    if (folder !== "") await rm(folder, { recursive: true, force: true });
  });

  const writeRuntime = async (name: string, script: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return path;
  };

  test("a runtime that is installed and does not work is passed over", async () => {
    await writeRuntime("crun", "echo 'this host is not for me' >&2; exit 1");
    vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
    const sandbox = await openSandbox("oci", { stateDir: join(folder, "state") });
    expect(sandbox.kind).toBe("oci");
  });

  test("why none works is told for each", async () => {
    const path = await writeRuntime("broken", "echo 'this host is not for me' >&2; exit 1");
    await expect(
      openSandbox("oci", { stateDir: join(folder, "state"), runtime: path }),
    ).rejects.toMatchObject({
      code: "SANDBOX_UNAVAILABLE",
      details: { tried: { [path]: expect.stringContaining("not for me") } },
    });
  });

  test("neither bundles nor cgroups are left, also after the runtime was killed", async () => {
    const [root, stateDir] = [join(folder, "root"), join(folder, "state")];
    await createBusyboxRoot(root);
    const sandbox = await openSandbox("oci", { stateDir });
    const controller = new AbortController();
    const run = (script: string): Promise<unknown> =>
      sandbox.run(
        {
          rootfs: { type: "directory", path: root, readOnly: false },
          argv: ["/bin/sh", "-c", script],
          env: ["PATH=/bin"],
          cwd: "/",
          user: { uid: 0, gid: 0, groups: [0], home: "/" },
          hostname: "kept-clean",
          network: "none",
          mounts: [],
          security: "sandbox",
        },
        { stdin: "null", output: () => controller.abort() },
        controller.signal,
      );
    await run("exit 3");
    await expect(run("echo up; sleep 600")).rejects.toMatchObject({ code: "CANCELED" });
    expect(await readdir(stateDir)).toEqual([]);
    expect(await findCgroups(`tsbuild-${process.pid}-`)).toEqual([]);
  });

  test("what a killed process left is swept by the next one", async () => {
    const [place = ""] = await findCgroupPlaces();
    // No process ever has this pid: it is beyond the kernel's limit.
    const own = String(process.pid);
    const leftover = join(place, `tsbuild-99999999-1-${own}`);
    await mkdir(leftover);
    const foreign = join(place, `tsbuild-foreign-${own}`);
    await mkdir(foreign);
    try {
      await openSandbox("oci", { stateDir: join(folder, "state") });
      expect(await findCgroups(basename(leftover))).toEqual([]);
      expect(await findCgroups(basename(foreign))).toEqual([foreign]);
    } finally {
      await rmdir(foreign);
    }
  });
});

/** The cgroups of this process, as directories. */
async function findCgroupPlaces(): Promise<readonly string[]> {
  const memberships = (await readFile("/proc/self/cgroup", "utf8")).trim().split("\n");
  const places = memberships.map((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return join("/sys/fs/cgroup", controllers.replace("name=", ""), path);
  });
  return places.filter((place) => existsSync(place));
}

async function findCgroups(prefix: string): Promise<readonly string[]> {
  const places = await findCgroupPlaces();
  const names = await Promise.all(
    places.map(async (place) => (await readdir(place)).map((name) => join(place, name))),
  );
  return names.flat().filter((path) => basename(path).startsWith(prefix));
}
