import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import { hostArch, otherArch, pushIndex } from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["umoci"] });
const { cli, context, expectCli, inspect } = workspace;

async function build(name: string, text: string): Promise<void> {
  await expectCli(["-t", name, await context({ Dockerfile: text })]);
}

interface Diff {
  readonly isSame: boolean;
  readonly sharedLayers: number;
  readonly config: readonly { readonly path: string }[];
  readonly files: readonly {
    readonly path: string;
    readonly change: string;
    readonly sizes: readonly [number, number];
    readonly fields: readonly { readonly field: string }[];
  }[];
}

async function diff(first: string, second: string, ...flags: string[]): Promise<Diff> {
  const args = ["image", "diff", "--format", "json", ...flags, first, second];
  return JSON.parse((await expectCli(args)).stdout) as Diff;
}

async function remote(name: string): Promise<string> {
  return runProgram("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${name}`]);
}

describe("image diff", () => {
  test("tells files, layers and config, whatever layers they are made of [R17.5]", async () => {
    await build(
      "diff:old",
      "FROM BUSYBOX\nENV A=1\nRUN mkdir /d && echo one >/d/same && echo one >/d/text && echo gone >/d/gone && echo m >/d/mode\n",
    );
    await build(
      "diff:new",
      "FROM BUSYBOX\nENV A=2\nRUN mkdir /d && echo one >/d/same\nRUN echo two >/d/text && echo longer >/d/added\nRUN echo m >/d/mode && chmod 600 /d/mode && ln -s text /d/link\n",
    );
    const found = await diff("diff:old", "diff:new");
    expect(found.sharedLayers).toBe(1);
    expect(found.config.map(({ path }) => path)).toContain("config.Env[1]");
    expect(
      found.files.map(({ path, change, fields }) => [
        path,
        change,
        fields.map((each) => each.field),
      ]),
    ).toEqual([
      ["/d/added", "added", []],
      ["/d/gone", "removed", []],
      ["/d/link", "added", []],
      ["/d/mode", "changed", ["mode"]],
      ["/d/text", "changed", ["content"]],
    ]);
    expect(found.files[0]?.sizes).toEqual([0, 7]);
    const { stdout } = await expectCli(["image", "diff", "diff:old", "diff:new"]);
    expect(stdout).toContain("C /d/mode mode 0644 -> 0600");
    expect(stdout).toContain("A /d/added 7B");
  });

  test("finds nothing between an image and its copy, times only when asked for [R17.5]", async () => {
    await build("diff:copied", "FROM BUSYBOX\nRUN touch -d @1000 /t\n");
    const remote = `docker://${workspace.registry.host}/diff/copied:1`;
    await expectCli(["image", "cp", "diff:copied", remote]);
    const root = await workspace.freshRoot();
    const args = ["image", "diff", remote, remote];
    expect((await expectCli(args, { root })).stdout).toContain("The images are the same");
    await build("diff:touched", "FROM BUSYBOX\nRUN touch -d @2000 /t\n");
    expect((await diff(remote, "diff:touched")).files).toEqual([]);
    const [touched] = (await diff(remote, "diff:touched", "--times")).files;
    expect(touched).toMatchObject({ path: "/t", fields: [{ field: "mtime" }] });
  });
});

describe("image mutate", () => {
  test("changes config and manifest of an image here, and no layer [R17.6]", async () => {
    await build(
      "mutate:1",
      'FROM BUSYBOX\nENV KEPT=1 CHANGED=1\nLABEL kept=1\nENTRYPOINT ["cat"]\n',
    );
    await expectCli([
      ...[
        "image",
        "mutate",
        "mutate:1",
        "-t",
        "mutate:2",
        "--label",
        "new=2",
        "--env",
        "CHANGED=2",
      ],
      ...["--entrypoint", '["sh","-c"]', "--cmd", '["id -u; pwd; echo $CHANGED"]'],
      ...["--user", "7", "--workdir", "/tmp", "--annotation", "who=me"],
    ]);
    const [before, after] = [await inspect("mutate:1"), await inspect("mutate:2")];
    expect(after.RootFS).toEqual(before.RootFS);
    expect(after.Config).toMatchObject({
      Labels: { kept: "1", new: "2" },
      Entrypoint: ["sh", "-c"],
    });
    const wanted = expect.arrayContaining(["KEPT=1", "CHANGED=2"]) as unknown;
    expect(after.Config["Env"]).toEqual(wanted);
    expect(await workspace.output("mutate:2")).toBe("7\n/tmp\n2\n");
    const raw = (await expectCli(["image", "inspect", "--raw", "mutate:2"])).stdout;
    expect(JSON.parse(raw)).toMatchObject({ annotations: { who: "me" } });
    await expectCli(["image", "mutate", "mutate:2", "--cmd", ""]);
    expect((await inspect("mutate:2")).Config["Cmd"]).toBeNull();
  });

  test("changes every image of an index in a registry without fetching a layer [R17.6]", async () => {
    const name = await pushIndex(workspace, "mutate/index");
    const target = `${workspace.registry.host}/mutate/changed:1`;
    const root = await workspace.freshRoot();
    const args = ["image", "mutate", `docker://${name}`, "-t", `docker://${target}`];
    await expectCli([...args, "--label", "all=1", "--annotation", "index:top=1"], { root });
    const index = JSON.parse(await remote(target)) as {
      manifests: { digest: string; platform: { architecture: string } }[];
      annotations: object;
    };
    expect(index.annotations).toEqual({ top: "1" });
    expect(index.manifests.map(({ platform }) => platform.architecture)).toEqual([
      hostArch,
      otherArch,
    ]);
    for (const { digest } of index.manifests) {
      const config = await runProgram("skopeo", [
        ...["inspect", "--config", "--raw", "--tls-verify=false"],
        `docker://${target.replace(":1", "")}@${digest}`,
      ]);
      expect(JSON.parse(config)).toMatchObject({ config: { Labels: { all: "1" } } });
    }
    const layout = join(await makeFolder(), "layout");
    await expectCli(["image", "cp", `docker://${target}`, `oci:${layout}:1`], { root });
    const single = join(await makeFolder(), "single");
    await runProgram("skopeo", [
      ...["--insecure-policy", "--override-arch", hostArch, "copy"],
      ...[`oci:${layout}:1`, `oci:${single}:1`],
    ]);
    const bundle = join(await makeFolder(), "bundle");
    await runProgram("umoci", ["unpack", "--image", `${single}:1`, bundle]);
    expect(await readFile(join(bundle, "rootfs/arch"), "utf8")).toBe(`${hostArch}\n`);
  });

  test("--rebase puts an image on another base, as its annotations say or as it is told [R17.7]", async () => {
    const { host } = workspace.registry;
    const base = `${host}/rebase/base:1`;
    await build(base, "FROM BUSYBOX\nRUN echo old >/base && echo old >/kept\n");
    const digest = /sha256:\w+/.exec((await expectCli(["push", base])).stdout)?.[0] ?? "";
    const app = `${host}/rebase/app:1`;
    const folder = await context({ Dockerfile: `FROM ${base}\nENV APP=1\nRUN echo app >/app\n` });
    await expectCli([
      ...["-t", app, "--push"],
      ...["--annotation", `org.opencontainers.image.base.name=${base}`],
      ...["--annotation", `org.opencontainers.image.base.digest=${digest}`, folder],
    ]);
    await build(base, "FROM BUSYBOX\nRUN echo new >/base\nRUN echo more >/more\n");
    await expectCli(["push", base]);
    const root = await workspace.freshRoot();
    const rebased = `${host}/rebase/app:2`;
    const args = ["image", "mutate", `docker://${app}`, "-t", `docker://${rebased}`, "--rebase"];
    await expectCli(args, { root });
    const read = async (name: string): Promise<string> =>
      (
        await expectCli(
          ["run", "--rm", name, "sh", "-c", "cat /base /more /app; ls /kept; echo $APP"],
          {
            root,
          },
        )
      ).stdout;
    expect(await read(rebased)).toBe("new\nmore\napp\n1\n");
    const { annotations } = JSON.parse(await remote(rebased)) as {
      annotations: Record<string, string>;
    };
    expect(annotations["org.opencontainers.image.base.name"]).toBe(base);
    expect(annotations["org.opencontainers.image.base.digest"]).not.toBe(digest);
    await expectCli(
      [
        ...["image", "mutate", `docker://${app}`, "-t", "told:1"],
        ...["--old-base", `docker://${host}/rebase/base@${digest}`, "--rebase", `docker://${base}`],
      ],
      { root },
    );
    expect(await read("told:1")).toBe("new\nmore\napp\n1\n");
  });

  test("does not rebase an image that does not lie on the base [R17.7]", async () => {
    await build("rebase:other", "FROM BUSYBOX\nRUN echo other >/o\n");
    await build("rebase:app", "FROM BUSYBOX\nRUN echo app >/a\n");
    const wrong = await cli([
      ...["image", "mutate", "rebase:app", "-t", "rebase:no"],
      ...["--old-base", "rebase:other", "--rebase", `docker://${workspace.busybox}`],
    ]);
    expect([wrong.code, errorCode(wrong)]).toEqual([1, "IMAGE_REBASE_REFUSED"]);
    const silent = await cli(["image", "mutate", "rebase:app", "-t", "rebase:no", "--rebase"]);
    expect(errorCode(silent)).toBe("IMAGE_REBASE_REFUSED");
    expect((await cli(["inspect", "rebase:no"])).code).toBe(1);
  });
});
