import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test, type TestContext } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import { runProgram, useWorkspace, whatIsLacking } from "../support/setup-workspace.ts";

// Programs that others wrote read what we write, and write what we read.
const workspace = useWorkspace({ programs: ["umoci"] });
const { expectCli, inspect } = workspace;
const image = "judged:1";

beforeAll(async () => {
  if (whatIsLacking(["docker-registry", "skopeo", "busybox", "umoci"]) !== undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-judged-"));
  try {
    await writeFile(join(folder, "a.txt"), "from the context\n");
    await writeFile(
      join(folder, "Dockerfile"),
      `FROM ${workspace.busybox}
LABEL judged=yes
ENV WORD=judge
WORKDIR /app
COPY --chown=1000:50 --chmod=750 a.txt sub/
RUN ln sub/a.txt hard && ln -s sub/a.txt soft && mkfifo pipe && chmod 4755 /bin/busybox
RUN rm /etc/group && mkdir gone && rmdir gone && mknod null c 1 3 || true
EXPOSE 80
VOLUME /data
USER 1000:50
ENTRYPOINT ["cat"]
CMD ["/app/sub/a.txt"]
`,
    );
    await expectCli(["-t", image, folder]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function save(): Promise<string> {
  const archive = join(await makeFolder(), "image.tar");
  await expectCli(["save", "-o", archive, image]);
  return archive;
}

interface SkopeoInspected {
  readonly Labels: Record<string, string>;
  readonly Os: string;
  readonly Layers: string[];
  readonly Env: string[];
}

describe("skopeo", () => {
  test.for(["oci-archive", "docker-archive"])("inspects a saved image as %s", async (kind) => {
    const told = await runProgram("skopeo", ["inspect", `${kind}:${await save()}`]);
    const seen = JSON.parse(told) as SkopeoInspected;
    expect(seen.Labels).toEqual({ judged: "yes" });
    expect(seen.Os).toBe("linux");
    expect(seen.Env).toContain("WORD=judge");
    expect(seen.Layers).toHaveLength((await inspect(image)).RootFS.Layers.length);
  });

  test.for(["oci-archive", "docker-archive"])(
    "copies %s to a registry, from which tsbuild runs it",
    async (kind) => {
      const name = `${workspace.registry.host}/from-skopeo/${kind}:1`;
      await runProgram("skopeo", [
        ...["copy", "--insecure-policy", "--dest-tls-verify=false"],
        ...[`${kind}:${await save()}`, `docker://${name}`],
      ]);
      const root = await workspace.freshRoot();
      await expectCli(["pull", name], { root });
      expect((await expectCli(["run", "--rm", name], { root })).stdout).toBe("from the context\n");
    },
  );

  test("reads what tsbuild pushed, layer by layer", async () => {
    const name = `${workspace.registry.host}/pushed:1`;
    await expectCli(["tag", image, name]);
    await expectCli(["push", name]);
    const layout = join(await makeFolder(), "layout");
    await runProgram("skopeo", [
      ...["copy", "--insecure-policy", "--src-tls-verify=false"],
      ...[`docker://${name}`, `oci:${layout}:pushed`],
    ]);
    const told = await runProgram("skopeo", ["inspect", "--config", `oci:${layout}:pushed`]);
    const { rootfs } = JSON.parse(told) as { rootfs: { diff_ids: string[] } };
    expect(rootfs.diff_ids).toEqual((await inspect(image)).RootFS.Layers);
  });

  test("reads zstd layers that tsbuild saved and pushed, and gives gzip back", async () => {
    const name = `${workspace.registry.host}/pushed:zstd`;
    await expectCli(["tag", image, name]);
    const zstd = ["--compression", "zstd", "--compression-level", "19", "--force-compression"];
    await expectCli(["push", ...zstd, name]);
    const archive = join(await makeFolder(), "zstd.tar");
    await expectCli(["save", ...zstd, "-o", archive, image]);
    for (const [number, source] of [`docker://${name}`, `oci-archive:${archive}`].entries()) {
      const manifest = JSON.parse(
        await runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", source]),
      ) as { layers: { mediaType: string }[] };
      expect(new Set(manifest.layers.map(({ mediaType }) => mediaType))).toEqual(
        new Set(["application/vnd.oci.image.layer.v1.tar+zstd"]),
      );
      const plain = join(await makeFolder(), `plain-${String(number)}`);
      await runProgram("skopeo", [
        ...["copy", "--insecure-policy", "--src-tls-verify=false", "--dest-compress"],
        ...["--dest-compress-format", "gzip", source, `oci:${plain}:again`],
      ]);
      // umoci checks every layer against the diffIds of the config.
      const bundle = join(await makeFolder(), "bundle");
      await runProgram("umoci", ["unpack", "--image", `${plain}:again`, bundle]);
      expect(await readFile(join(bundle, "rootfs/app/sub/a.txt"), "utf8")).toBe(
        "from the context\n",
      );
    }
  });

  test("writes an archive that tsbuild loads, gzip and zstd layers alike", async () => {
    for (const format of ["gzip", "zstd"]) {
      const archive = join(await makeFolder(), "made.tar");
      const compress = ["--dest-compress-format", format, "--dest-compress"];
      // Layers of a docker archive are plain for skopeo, so that it has to compress them.
      await runProgram("skopeo", [
        ...["copy", "--insecure-policy", ...compress],
        ...[`docker-archive:${await save()}`, `oci-archive:${archive}:recompressed:1`],
      ]);
      expect(await layerTypes(`oci-archive:${archive}:recompressed:1`)).toEqual([format]);
      const root = await workspace.freshRoot();
      const { stdout } = await expectCli(["load", "-i", archive], { root });
      const loaded = stdout.trim().split(" ").at(-1) ?? "";
      expect((await expectCli(["run", "--rm", loaded], { root })).stdout).toBe(
        "from the context\n",
      );
    }
  });
});

/** How the layers of an image are compressed, each kind once. */
async function layerTypes(source: string): Promise<readonly string[]> {
  const told = await runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", source]);
  const manifest = JSON.parse(told) as { layers: { mediaType: string }[] };
  return [...new Set(manifest.layers.map(({ mediaType }) => mediaType.split("+")[1] ?? "none"))];
}

describe("buildah", () => {
  test("reads zstd layers that tsbuild pushed, and pushes its own, which tsbuild runs", async (test) => {
    const lacking = whatIsLacking(["buildah"]);
    if (lacking !== undefined) return test.skip(lacking);
    const folder = await makeFolder();
    const storage = ["--root", join(folder, "storage"), "--runroot", join(folder, "run")];
    const buildah = async (...args: string[]): Promise<string> =>
      runProgram("buildah", [...storage, "--storage-driver", "vfs", ...args]);
    const name = `${workspace.registry.host}/to-buildah:zstd`;
    await expectCli(["tag", image, name]);
    await expectCli(["push", "--compression", "zstd", "--force-compression", name]);
    expect(await layerTypes(`docker://${name}`)).toEqual(["zstd"]);
    await buildah("pull", "--tls-verify=false", `docker://${name}`);
    const back = `${workspace.registry.host}/from-buildah:zstd`;
    const format = ["--format", "oci", "--compression-format", "zstd"];
    await buildah("push", "--tls-verify=false", ...format, name, `docker://${back}`);
    expect(await layerTypes(`docker://${back}`)).toEqual(["zstd"]);
    const root = await workspace.freshRoot();
    await expectCli(["pull", back], { root });
    expect((await expectCli(["run", "--rm", back], { root })).stdout).toBe("from the context\n");
    await buildah("rmi", "--all", "--force");
  });
});

describe("umoci", () => {
  test("unpacks a saved image to the same tree", async () => {
    const folder = await makeFolder();
    const layout = join(folder, "layout");
    await runProgram("mkdir", [layout]);
    await runProgram("tar", ["-xf", await save(), "-C", layout]);
    const tag = await layoutTag(layout);
    await runProgram("umoci", ["unpack", "--image", `${layout}:${tag}`, join(folder, "bundle")]);
    const rootfs = join(folder, "bundle/rootfs");
    expect(await readFile(join(rootfs, "app/sub/a.txt"), "utf8")).toBe("from the context\n");
    const file = await stat(join(rootfs, "app/sub/a.txt"));
    expect([file.uid, file.gid, file.mode & 0o7777]).toEqual([1000, 50, 0o750]);
    expect((await stat(join(rootfs, "app/hard"))).ino).toBe(file.ino);
    expect((await stat(join(rootfs, "app/pipe"))).isFIFO()).toBe(true);
    expect((await stat(join(rootfs, "bin/busybox"))).mode & 0o7777).toBe(0o4755);
    await expect(stat(join(rootfs, "etc/group"))).rejects.toThrow("ENOENT");
    const { process } = JSON.parse(await readFile(join(folder, "bundle/config.json"), "utf8")) as {
      process: { args: string[]; cwd: string; user: { uid: number } };
    };
    expect(process).toMatchObject({
      cwd: "/app",
      args: ["cat", "/app/sub/a.txt"],
      user: { uid: 1000 },
    });
  });
});

describe("podman", () => {
  test("loads a saved image with the same id, and runs it", async (test) => {
    await usePodman(test, async (podman) => {
      const loaded = await podman("load", "-i", await save());
      expect(loaded).toContain("judged:1");
      const [seen] = JSON.parse(await podman("inspect", image)) as { Id: string; User: string }[];
      expect(seen?.Id).toBe((await inspect(image)).Id.replace("sha256:", ""));
      expect(seen?.User).toBe("1000:50");
      expect(await runByPodman(test, podman)).toBe("from the context\n");
    });
  });

  test("saves an image that tsbuild loads and runs", async (test) => {
    await usePodman(test, async (podman) => {
      await podman("load", "-i", await save());
      for (const format of ["oci-archive", "docker-archive"]) {
        const archive = join(await makeFolder(), "podman.tar");
        await podman("save", "--format", format, "-o", archive, image);
        const root = await workspace.freshRoot();
        const { stdout } = await expectCli(["load", "-i", archive], { root });
        const loaded = stdout.trim().split(" ").at(-1) ?? "";
        const ran = await expectCli(["run", "--rm", loaded], { root });
        expect(ran.stdout).toBe("from the context\n");
      }
    });
  });
});

/** Runs `use` with a podman of its own store; skips where podman does not work at all. */
async function usePodman(
  test: TestContext,
  use: (podman: (...args: string[]) => Promise<string>) => Promise<void>,
): Promise<void> {
  const lacking = whatIsLacking(["podman"]);
  if (lacking !== undefined) return test.skip(lacking);
  const folder = await makeFolder("podman");
  const place = ["--root", join(folder, "root"), "--runroot", join(folder, "run")];
  const podman = async (...args: string[]): Promise<string> =>
    runProgram("podman", [...place, "--storage-driver", "vfs", ...args]);
  try {
    await podman("info");
  } catch (error) {
    test.skip(`podman does not work here: ${String(error).slice(0, 300)}`);
  }
  try {
    await use(podman);
  } finally {
    // Podman mounts its own store onto itself, which would keep the folder from being removed.
    const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path.startsWith(folder));
    for (const path of mounts.reverse()) await runProgram("umount", ["-l", path]);
  }
}

/** What the image prints under podman, with the first OCI runtime that starts at all. */
async function runByPodman(
  test: TestContext,
  podman: (...args: string[]) => Promise<string>,
): Promise<string> {
  // Podman's own limits may be above what this machine allows.
  const limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"];
  const refusals: string[] = [];
  for (const runtime of [["--runtime=runc"], ["--runtime=crun", "--cgroups=disabled"]]) {
    try {
      return await podman("run", "--rm", "--network=host", ...limits, ...runtime, image);
    } catch (error) {
      if (!isRuntimeTrouble(error)) throw error;
      refusals.push(String(error).slice(0, 300));
    }
  }
  return test.skip(`podman starts nothing here: ${refusals.join("; ")}`);
}

/** The runtime or its cgroups refuse the machine; the image has nothing to do with it. */
function isRuntimeTrouble(error: unknown): boolean {
  return /cgroup|OCI runtime error|OCI permission denied|crun:|runc:|conmon/i.test(String(error));
}

async function layoutTag(layout: string): Promise<string> {
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as {
    manifests: { annotations?: Record<string, string> }[];
  };
  return index.manifests[0]?.annotations?.["org.opencontainers.image.ref.name"] ?? "";
}
