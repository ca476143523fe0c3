import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import {
  bothPlatforms,
  buildLayout,
  hostArch,
  Layout,
  otherArch,
  pushIndex,
} from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, freshRoot, inspect } = workspace;

interface Row {
  readonly repository: string;
  readonly tag: string;
  readonly id: string;
}

async function images(root = workspace.root): Promise<readonly Row[]> {
  return JSON.parse((await expectCli(["images", "--format", "json"], { root })).stdout) as Row[];
}

/** A stage that runs here for every platform, and a result for each. */
const crossFile = `FROM --platform=$BUILDPLATFORM BUSYBOX AS tools
RUN echo once >/once
FROM --platform=$BUILDPLATFORM BUSYBOX AS build
ARG TARGETARCH
RUN echo "made for $TARGETARCH" >/out
FROM scratch
ARG TARGETPLATFORM
LABEL built.for=$TARGETPLATFORM
COPY --from=tools /once /bin/busybox /
COPY --from=build /out /out
ENTRYPOINT ["/busybox", "cat"]
CMD ["/out"]
`;

describe("one name for several platforms", () => {
  test("is an index of one image each; what is pinned and asks for no target runs once [4.16, 7.6]", async () => {
    const folder = await context({ Dockerfile: crossFile });
    const args = ["--progress", "plain", "--platform", bothPlatforms, "-t", "cross:1"];
    const { stderr } = await expectCli([...args, folder]);
    const count = (text: string): number => stderr.split(text).length - 1;
    expect(count(`[linux/${hostArch} tools 2/2] RUN`)).toBe(1);
    expect(count(`[linux/${hostArch} build 2/2] RUN`)).toBe(1);
    expect(count(`[linux/${hostArch}->${otherArch} build 2/2] RUN`)).toBe(1);
    for (const arch of [hostArch, otherArch])
      expect(count(`[linux/${arch} stage-2 2/2] COPY`)).toBe(1);

    const rows = (await images()).filter(({ repository }) => repository === "cross");
    expect(rows).toHaveLength(1);
    const [row] = rows;
    expect((await inspect("cross:1")).Id).toBe(row?.id);
    // The same again is the same, whatever name is asked.
    expect((await expectCli([...args, "-q", folder])).stdout.trim()).toBe(row?.id);
    for (const word of ["cross:1", row?.id ?? ""])
      expect(await workspace.output(word)).toBe(`made for ${hostArch}\n`);
  });

  test("travels whole by save and load", async () => {
    const folder = await context({ Dockerfile: crossFile });
    await expectCli(["--platform", bothPlatforms, "-t", "travel:1", folder]);
    const archive = join(await makeFolder(), "travel.tar");
    await expectCli(["save", "-o", archive, "travel:1"]);
    const root = await freshRoot();
    const loaded = await expectCli(["load", "-i", archive], { root });
    expect(loaded.stdout).toContain("travel:1");
    expect(await images(root)).toHaveLength(1);
    expect((await expectCli(["run", "--rm", "travel:1"], { root })).stdout).toBe(
      `made for ${hostArch}\n`,
    );
    // Saved again from there, both images are still in it.
    const again = join(await makeFolder(), "again.tar");
    await expectCli(["save", "-o", again, "travel:1"], { root });
    const { manifests } = await (await Layout.ofTar(again)).index();
    expect(manifests.map(({ platform }) => platform?.architecture)).toEqual([hostArch, otherArch]);
  });

  test("survives prune as a whole, and goes as a whole", async () => {
    const root = await freshRoot();
    const folder = await context({
      Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH\n",
      f: "f",
    });
    await expectCli(["--platform", bothPlatforms, "-t", "kept:1", folder], { root });
    await expectCli(["system", "prune", "-f"], { root });
    const layouts = join(await makeFolder(), "kept.tar");
    await expectCli(["save", "-o", layouts, "kept:1"], { root });
    expect((await (await Layout.ofTar(layouts)).index()).manifests).toHaveLength(2);
    const removed = await expectCli(["rmi", "kept:1"], { root });
    expect(removed.stdout).toContain("kept:1");
    expect(await images(root)).toEqual([]);
    expect((await cli(["inspect", "kept:1"], { root })).code).toBe(1);
  });

  test("is pushed as a whole, and pulled by platform", async () => {
    const name = await pushIndex(workspace, "pushed");
    const raw = JSON.parse(
      await runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${name}`]),
    ) as { manifests: { platform: { architecture: string } }[] };
    expect(raw.manifests.map(({ platform }) => platform.architecture)).toEqual([
      ...[hostArch, otherArch],
    ]);
    for (const arch of [hostArch, otherArch]) {
      const root = await freshRoot();
      await expectCli(["pull", "--platform", `linux/${arch}`, name], { root });
      const { stdout } = await expectCli(["inspect", name], { root });
      expect((JSON.parse(stdout) as { Architecture: string }[])[0]?.Architecture).toBe(arch);
    }
  });

  test("a push of a part says what the name stands for no more", async () => {
    const name = await pushIndex(workspace, "platforms/part");
    const root = await freshRoot();
    await expectCli(["pull", name], { root });
    const other = name.replace(/part:1$/, "less:1");
    await expectCli(["tag", name, other], { root });
    const part = await expectCli(["push", other], { root });
    expect(part.stderr).toContain("PartialIndex");
    expect(part.stderr).toContain(`not here: linux/${otherArch}`);
    const chosen = await expectCli(["push", "--platform", `linux/${hostArch}`, other], { root });
    expect(chosen.stderr).not.toContain("PartialIndex");
    await expectCli(["pull", "--platform", `linux/${otherArch}`, name], { root });
    expect((await expectCli(["push", other], { root })).stderr).not.toContain("PartialIndex");
  });

  test("BUILDKIT_MULTI_PLATFORM=1 gives an index of one [7.6]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCOPY f /\n", f: "f" });
    const layout = await buildLayout(workspace, folder, [
      ...["--build-arg", "BUILDKIT_MULTI_PLATFORM=1"],
    ]);
    const { manifests } = await layout.index();
    expect(manifests.map(({ platform }) => platform)).toEqual([
      { architecture: hostArch, os: "linux" },
    ]);
    const plain = await buildLayout(workspace, folder);
    expect((await plain.image()).manifest.layers).toHaveLength(1);
  });
});

describe("base images", () => {
  test("come for the platform that is built [3.4]", async () => {
    const base = await pushIndex(workspace, "base");
    const folder = await context({ Dockerfile: `FROM ${base}\nLABEL a=b\n` });
    const layout = await buildLayout(workspace, folder, ["--platform", bothPlatforms]);
    for (const { digest, platform } of (await layout.index()).manifests) {
      const { config } = await layout.image(digest);
      expect(config.architecture).toBe(platform?.architecture);
      expect(config.config["Env"]).toContain(`BASE_ARCH=${config.architecture}`);
    }
  });

  test("are looked up again when the copy that is here is for another platform", async () => {
    const root = await freshRoot();
    const base = await pushIndex(workspace, "again");
    await expectCli(["pull", base], { root });
    const folder = await context({ Dockerfile: `FROM ${base}\nCOPY --from=${base} /arch /copy\n` });
    const tar = join(await makeFolder(), "root.tar");
    const args = ["--platform", `linux/${otherArch}`, "-o", `type=tar,dest=${tar}`];
    await expectCli([...args, folder], { root });
    for (const file of ["arch", "copy"])
      expect(await runProgram("tar", ["-xOf", tar, file])).toBe(`${otherArch}\n`);
    // What was here is here still.
    expect((await expectCli(["inspect", base], { root })).stdout).toContain(hostArch);
  });

  test("that do not exist for a platform are told with those that they exist for", async () => {
    const base = await pushIndex(workspace, "narrow");
    const folder = await context({ Dockerfile: `FROM ${base}\n` });
    const result = await cli(["--platform", "linux/s390x", folder]);
    expect(errorCode(result)).toBe("IMAGE_PLATFORM_NOT_FOUND");
    for (const text of ["linux/s390x", `linux/${hostArch}`, `linux/${otherArch}`, "Dockerfile:1"])
      expect(result.stderr).toContain(text);
  });

  test("that are here for another platform alone serve when their registry has none [3.14]", async () => {
    const name = `${workspace.registry.host}/never-pushed:1`;
    const base = await context({
      Dockerfile: "FROM scratch\nENV KEPT=yes\nCOPY f /\n",
      f: "f",
    });
    await expectCli(["--platform", `linux/${otherArch}`, "-t", name, base]);
    const folder = await context({ Dockerfile: `FROM ${name}\nLABEL a=b\n` });
    const { stderr } = await expectCli(["-t", "on-foreign:1", folder]);
    expect(stderr).toContain("InvalidBaseImagePlatform");
    expect((await inspect("on-foreign:1")).Config["Env"]).toContain("KEPT=yes");
    expect(errorCode(await cli(["--pull", folder]))).toBe("IMAGE_NOT_FOUND");
  });

  test("of --from are for the target, also in a stage for another platform [4.6]", async () => {
    const base = await pushIndex(workspace, "tools");
    const folder = await context({
      Dockerfile: `FROM --platform=$BUILDPLATFORM BUSYBOX AS build
COPY --from=${base} /arch /from-image
FROM scratch
COPY --from=build /from-image /
`,
    });
    const out = join(await makeFolder(), "out");
    await expectCli(["--platform", bothPlatforms, "-o", out, folder]);
    for (const arch of [hostArch, otherArch])
      expect(await readFile(join(out, `linux_${arch}/from-image`), "utf8")).toBe(`${arch}\n`);
  });

  test("of another platform run when the machine can, with a warning [3.6, 3.14]", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo ran >/ran\n" });
    const args = ["--platform", `linux/${otherArch}`, "-t", "named-wrong:1", folder];
    const { stderr } = await expectCli(args);
    expect(stderr).toContain("InvalidBaseImagePlatform");
    expect((await inspect("named-wrong:1")).Architecture).toBe(otherArch);
    await expectCli(["-t", "unnamed:1", folder]);
    expect((await inspect("unnamed:1")).Architecture).toBe(hostArch);
  });

  test("keep what they say of os and machine unless --platform is given [3.6]", async () => {
    const foreign = await pushIndex(workspace, "foreign", [otherArch]);
    const name = `${workspace.registry.host}/foreign-single:1`;
    const flags = ["--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    await runProgram("skopeo", [
      ...["--override-arch", otherArch, "copy", ...flags],
      ...[`docker://${foreign}`, `docker://${name}`],
    ]);
    const folder = await context({ Dockerfile: `FROM ${name}\nLABEL a=b\n` });
    await expectCli(["-t", "kept-arch:1", folder]);
    expect((await inspect("kept-arch:1")).Architecture).toBe(otherArch);
    await expectCli(["--platform", "local", "-t", "told-arch:1", folder]);
    expect((await inspect("told-arch:1")).Architecture).toBe(hostArch);
  });

  test("without layers keep their config and are an empty root [3.14]", async () => {
    const name = `${workspace.registry.host}/layerless:1`;
    const empty = await context({ Dockerfile: "FROM scratch\nENV KEPT=yes\n" });
    await expectCli(["-t", name, "--push", empty]);
    const folder = await context({ Dockerfile: `FROM ${name}\nCOPY f /\n`, f: "f" });
    const layout = await buildLayout(workspace, folder);
    const { config } = await layout.image();
    expect(config.config["Env"]).toContain("KEPT=yes");
    expect(config.rootfs.diff_ids).toHaveLength(1);
  });
});

describe("platform variables", () => {
  test("say what is built and where, in FROM and where a stage asks [2.19]", async () => {
    const folder = await context({
      Dockerfile: `FROM scratch AS for-${hostArch}
COPY f /this
FROM scratch AS for-${otherArch}
COPY f /that
FROM for-$TARGETARCH
ARG TARGETPLATFORM
ARG TARGETOS
ARG TARGETARCH
ARG TARGETVARIANT
ARG BUILDPLATFORM
ARG BUILDARCH
ARG TARGETSTAGE
ENV ALL="$TARGETPLATFORM $TARGETOS $TARGETARCH [\${TARGETVARIANT-unset}] $BUILDPLATFORM $BUILDARCH $TARGETSTAGE"
`,
      f: "f",
    });
    const layout = await buildLayout(workspace, folder, ["--platform", bothPlatforms]);
    for (const { digest, platform } of (await layout.index()).manifests) {
      const arch = platform?.architecture ?? "";
      const { config } = await layout.image(digest);
      expect(config.config["Env"]).toContain(
        `ALL=linux/${arch} linux ${arch} [] linux/${hostArch} ${hostArch} default`,
      );
    }
  });

  test("take what --build-arg says instead [2.19]", async () => {
    const folder = await context({
      Dockerfile:
        "FROM scratch AS last\nARG TARGETARCH\nARG BUILDOS\nLABEL v=$TARGETARCH-$BUILDOS\n",
    });
    const args = ["--build-arg", "TARGETARCH=mine", "--build-arg", "BUILDOS=other"];
    await expectCli([...args, "-t", "overridden:1", folder]);
    expect((await inspect("overridden:1")).Config["Labels"]).toEqual({ v: "mine-other" });
  });

  test("are defeated by a default in the stage, and taken from a global one [2.16, 2.17]", async () => {
    const folder = await context({
      Dockerfile: `ARG TARGETVARIANT=v9
ARG IMAGE=for-$TARGETARCH-$TARGETVARIANT
FROM scratch AS for-${hostArch}-v9
COPY f /here
FROM $IMAGE
ARG TARGETARCH=mine
ARG TARGETVARIANT
ARG IMAGE
ENV SEEN=$TARGETARCH-$TARGETVARIANT-$IMAGE
`,
      f: "f",
    });
    await expectCli(["-t", "defaults:1", folder]);
    expect((await inspect("defaults:1")).Config["Env"]).toContain(
      `SEEN=mine-v9-for-${hostArch}-v9`,
    );
  });
});

describe("platforms that cannot be", () => {
  test("a name that nobody knows is warned of", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCOPY f /\n", f: "f" });
    const result = await expectCli(["--platform", "linux/foo", "-t", "foo:1", folder]);
    expect(result.stderr).toContain("PLATFORM_UNKNOWN");
    expect((await inspect("foo:1")).Architecture).toBe("foo");
    const known = await expectCli(["--platform", "linux/riscv64", "-t", "riscv:1", folder]);
    expect(known.stderr).not.toContain("PLATFORM_UNKNOWN");
  });

  test("and one that is no name is refused", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCOPY f /\n", f: "f" });
    expect(errorCode(await cli(["--platform", "linux/", folder]))).toBe("PLATFORM_INVALID");
  });
});
