import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import { bothPlatforms, buildLayout, hostArch, otherArch } from "../support/setup-platforms.ts";
import { runProgram, useWorkspace, whatIsLacking } from "../support/setup-workspace.ts";

// Programs that others wrote read an image of two platforms, and the files that a build leaves.
const workspace = useWorkspace({ programs: ["umoci"] });
const { context, expectCli } = workspace;
const trust = ["--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];

const files = {
  Dockerfile: `FROM --platform=$BUILDPLATFORM BUSYBOX AS build
ARG TARGETARCH
RUN mkdir -p /out/sub && echo "$TARGETARCH" >/out/sub/arch && ln /out/sub/arch /out/hard && chmod 2755 /out/sub
FROM scratch
COPY --from=build --chown=12:34 /out /
LABEL made.for=all
`,
};

async function both(): Promise<string> {
  return context(files);
}

describe("skopeo", () => {
  test.for([hostArch, otherArch])("finds the image for %s in what was pushed", async (arch) => {
    const name = `${workspace.registry.host}/both-${arch}:1`;
    await expectCli(["--platform", bothPlatforms, "-t", name, "--push", await both()]);
    const told = JSON.parse(
      await runProgram("skopeo", [
        ...["--override-arch", arch, "inspect", "--tls-verify=false", `docker://${name}`],
      ]),
    ) as { Architecture: string; Labels: Record<string, string> };
    expect(told).toMatchObject({ Architecture: arch, Labels: { "made.for": "all" } });
  });

  test("copies all of an archive, every digest checked", async () => {
    const layout = await buildLayout(workspace, await both(), [
      ...["--platform", bothPlatforms, "-t", "both:1"],
    ]);
    const out = join(await makeFolder(), "copy");
    await runProgram("skopeo", [
      ...["copy", "--all", "--insecure-policy", `oci:${layout.directory}:1`, `dir:${out}`],
    ]);
    const { manifests } = JSON.parse(await readFile(join(out, "manifest.json"), "utf8")) as {
      manifests: unknown[];
    };
    expect(manifests).toHaveLength(2);
    // Two manifests beside the list, two configs, and a layer for each.
    const blobs = (await readdir(out)).filter((name) => /^[0-9a-f]{64}/.test(name));
    expect(blobs.length).toBeGreaterThanOrEqual(6);
  });

  test("takes an archive to a registry, from which tsbuild builds for each platform", async () => {
    const layout = await buildLayout(workspace, await both(), [
      ...["--platform", bothPlatforms, "-t", "both:1"],
    ]);
    const name = `${workspace.registry.host}/from-archive:1`;
    await runProgram("skopeo", [
      ...["copy", "--all", ...trust, `oci:${layout.directory}:1`, `docker://${name}`],
    ]);
    const out = join(await makeFolder(), "out");
    const reader = await context({ Dockerfile: `FROM ${name}\n` });
    await expectCli(["--platform", bothPlatforms, "-o", out, reader], {
      root: await workspace.freshRoot(),
    });
    for (const arch of [hostArch, otherArch])
      expect(await readFile(join(out, `linux_${arch}/sub/arch`), "utf8")).toBe(`${arch}\n`);
  });
});

test.for([hostArch, otherArch])("umoci unpacks the image for %s", async (arch) => {
  const layout = await buildLayout(workspace, await both(), [
    ...["--platform", bothPlatforms, "-t", "both:1"],
  ]);
  const single = join(await makeFolder(), "single");
  await runProgram("skopeo", [
    ...["--override-arch", arch, "copy", "--insecure-policy"],
    ...[`oci:${layout.directory}:1`, `oci:${single}:one`],
  ]);
  const bundle = join(await makeFolder(), "bundle");
  await runProgram("umoci", ["unpack", "--image", `${single}:one`, bundle]);
  const file = await stat(join(bundle, "rootfs/sub/arch"));
  expect([file.uid, file.gid]).toEqual([12, 34]);
  expect((await stat(join(bundle, "rootfs/hard"))).ino).toBe(file.ino);
  expect((await stat(join(bundle, "rootfs/sub"))).mode & 0o7777).toBe(0o2755);
  expect(await readFile(join(bundle, "rootfs/sub/arch"), "utf8")).toBe(`${arch}\n`);
});

test("umoci validates and reads a layout directory that was written twice", async () => {
  const out = join(await makeFolder(), "layout");
  for (const tag of ["one", "two"]) {
    const args = ["-t", `app:${tag}`, "-o", `type=oci,tar=false,dest=${out}`];
    await expectCli([...args, await both()]);
  }
  const tags = (await runProgram("umoci", ["list", "--layout", out])).trim().split("\n");
  expect(tags.sort()).toEqual(["one", "two"]);
  await runProgram("umoci", ["unpack", "--image", `${out}:two`, join(await makeFolder(), "b")]);
});

test("GNU tar unpacks -o - to the tree that umoci unpacks", async () => {
  const source = await both();
  const tar = join(await makeFolder(), "root.tar");
  const layout = join(await makeFolder(), "layout");
  await expectCli([
    ...["-t", "tree:1", "-o", `type=tar,dest=${tar}`],
    ...["-o", `type=oci,tar=false,dest=${layout}`, source],
  ]);
  const [byTar, bundle] = [await makeFolder("tar"), join(await makeFolder(), "bundle")];
  await runProgram("tar", ["--same-owner", "-xpf", tar, "-C", byTar]);
  await runProgram("umoci", ["unpack", "--image", `${layout}:1`, bundle]);
  const list = async (root: string): Promise<string> =>
    runProgram("find", [...[root, "-mindepth", "1", "-printf", "%P %y %m %U:%G %n %T@\\n"]]).then(
      (text) => text.split("\n").sort().join("\n"),
    );
  expect(await list(byTar)).toBe(await list(join(bundle, "rootfs")));
});

test("podman loads this machine's image out of a saved archive of two", async (test) => {
  const lacking = whatIsLacking(["podman"]);
  if (lacking !== undefined) return test.skip(lacking);
  await expectCli(["--platform", bothPlatforms, "-t", "podman-both:1", await both()]);
  const archive = join(await makeFolder(), "both.tar");
  await expectCli(["save", "-o", archive, "podman-both:1"]);
  const place = await makeFolder("podman");
  const podman = async (...args: string[]): Promise<string> =>
    runProgram("podman", [
      ...["--root", join(place, "root"), "--runroot", join(place, "run")],
      ...["--storage-driver", "vfs", ...args],
    ]);
  try {
    await podman("info");
  } catch (error) {
    return test.skip(`podman does not work here: ${String(error).slice(0, 300)}`);
  }
  try {
    expect(await podman("load", "-i", archive)).toContain("podman-both:1");
    const [image] = JSON.parse(await podman("images", "--format", "json")) as { Id: string }[];
    const [seen] = JSON.parse(await podman("inspect", image?.Id ?? "")) as {
      Architecture: string;
      Labels: Record<string, string>;
    }[];
    expect(seen).toMatchObject({ Architecture: hostArch, Labels: { "made.for": "all" } });
    const root = (await podman("image", "mount", image?.Id ?? "")).trim();
    expect(await readFile(join(root, "sub/arch"), "utf8")).toBe(`${hostArch}\n`);
    await podman("image", "unmount", image?.Id ?? "");
  } finally {
    const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path.startsWith(place));
    for (const path of mounts.reverse()) await runProgram("umount", ["-l", path]);
  }
});
