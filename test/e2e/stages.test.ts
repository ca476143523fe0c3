import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readArchive } from "../support/setup-archive.ts";
import { makeFolder } from "../support/setup-context.ts";
import { instructionSteps, outcomesOf } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli, inspect, output } = workspace;

describe("FROM", () => {
  test("a tag is looked up in every build: here first, in the registry with --pull [3.15, 6.13]", async () => {
    const name = `${workspace.registry.host}/moving:1`;
    const push = async (content: string, root: string): Promise<void> => {
      const base = await context({ Dockerfile: `FROM BUSYBOX\nRUN echo ${content} >/base\n` });
      await expectCli(["-t", name, base], { root });
      await expectCli(["push", name], { root });
    };
    const elsewhere = await workspace.freshRoot();
    await push("old", elsewhere);
    const folder = await context({ Dockerfile: `FROM ${name}\nRUN cat /base >/seen\n` });
    const seen = async (...flags: string[]): Promise<{ text: string; run: string | undefined }> => {
      const { stderr } = await expectCli([
        "--progress",
        "rawjson",
        "-t",
        "moving:1",
        ...flags,
        folder,
      ]);
      const run = outcomesOf(stderr)["RUN cat /base >/seen"];
      return { text: await output("moving:1", "cat", "/seen"), run };
    };
    expect(await seen()).toEqual({ text: "old\n", run: "done" });
    await push("new", elsewhere);
    expect(await seen()).toEqual({ text: "old\n", run: "cached" });
    expect(await seen("--pull")).toEqual({ text: "new\n", run: "done" });
    expect(await seen("--pull")).toEqual({ text: "new\n", run: "cached" });
  });

  test("it leaves neither history nor layer, and an image without layers lends its config [3.14, 3.15]", async () => {
    const nothing = await context({ Dockerfile: "FROM scratch\nENV KEPT=yes\nLABEL a=b\n" });
    await expectCli(["-t", "nothing:1", nothing]);
    const folder = await context({ file: "f", Dockerfile: "FROM nothing:1\nCOPY file /file\n" });
    const archive = join(await makeFolder(), "image.tar");
    await expectCli(["-t", "something:1", "-o", `type=oci,dest=${archive}`, folder]);
    const { config } = await readArchive(archive);
    expect(config.config).toMatchObject({ Labels: { a: "b" } });
    expect(config.config["Env"]).toContain("KEPT=yes");
    expect(config.history.map(({ created_by }) => created_by)).toEqual([
      "ENV KEPT=yes",
      "LABEL a=b",
      "COPY file /file # buildkit",
    ]);
    expect(config.rootfs.diff_ids).toHaveLength(1);
  });
});

describe("what an instruction does to the steps behind it", () => {
  test("USER is for RUN and WORKDIR, not for COPY [3.78]", async () => {
    const folder = await context({
      file: "f",
      Dockerfile: "FROM BUSYBOX\nUSER app\nWORKDIR /w\nCOPY file copied\nRUN id -u >made\n",
    });
    await expectCli(["-t", "user:1", folder]);
    const script = "stat -c '%n %u:%g' . copied made; cat made";
    expect(await output("user:1", "sh", "-c", script)).toBe(
      ". 1000:1000\ncopied 0:0\nmade 1000:1000\n1000\n",
    );
  });

  test("what RUN changes below a VOLUME stays, and nothing is made for one [3.79]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
VOLUME /data /unmade
RUN test ! -e /data && mkdir /data && echo kept >/data/file
RUN cat /data/file && test ! -e /unmade
`,
    });
    await expectCli(["-t", "volume:1", folder]);
    const image = await inspect("volume:1");
    expect(image.Config["Volumes"]).toEqual({ "/data": {}, "/unmade": {} });
    const { stdout } = await expectCli(["run", "--rm", "volume:1", "cat", "/data/file"]);
    expect(stdout).toBe("kept\n");
  });

  test("SHELL goes on in the stages that start from this one [3.83]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX AS parent
SHELL ["/bin/sh", "-euc"]
FROM parent
RUN case $- in *u*) echo strict >/shell ;; esac
CMD cat /shell
`,
    });
    await expectCli(["-t", "shell:1", folder]);
    expect(await output("shell:1")).toBe("strict\n");
    expect((await inspect("shell:1")).Config["Cmd"]).toEqual(["/bin/sh", "-euc", "cat /shell"]);
  });
});

describe("the config document", () => {
  test("has its values as the reference builder writes them [3.81, 3.82, 3.84, 3.87, 3.88]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
MAINTAINER Some Body <some@body.example>
HEALTHCHECK --interval=1m30s --timeout=2.5s --start-period=1h --start-interval=500ms --retries=4 CMD probe || exit 1
EXPOSE 8080/TCP 53/udp
ONBUILD RUN echo fired
CMD serve
ENTRYPOINT ["/entry"]
`,
    });
    const archive = join(await makeFolder(), "image.tar");
    await expectCli(["-t", "document:1", "-o", `type=oci,dest=${archive}`, folder]);
    const { config } = await readArchive(archive);
    expect(config.author).toBe("Some Body <some@body.example>");
    expect(config.config).toEqual({
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Healthcheck: {
        Test: ["CMD-SHELL", "probe || exit 1"],
        Interval: 90_000_000_000,
        Timeout: 2_500_000_000,
        StartPeriod: 3_600_000_000_000,
        StartInterval: 500_000_000,
        Retries: 4,
      },
      ExposedPorts: { "53/udp": {}, "8080/tcp": {} },
      OnBuild: ["RUN echo fired"],
      Cmd: ["/bin/sh", "-c", "serve"],
      Entrypoint: ["/entry"],
      ArgsEscaped: true,
    });
  });
});

describe("ONBUILD", () => {
  test("triggers run in order before the stage's own steps, and not again in grandchildren [3.89]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX AS parent
ONBUILD RUN echo first >>/order
ONBUILD ENV SET=by-trigger
ONBUILD RUN echo second $SET >>/order
FROM parent AS child
RUN echo own >>/order
FROM child
RUN echo grandchild >>/order
`,
    });
    const { stderr } = await expectCli(["--progress", "plain", "-t", "order:1", folder]);
    expect(await output("order:1", "cat", "/order")).toBe(
      "first\nsecond by-trigger\nown\ngrandchild\n",
    );
    expect(stderr).toContain("[child 1/3] ONBUILD RUN echo first >>/order");
    expect((await inspect("order:1")).Config["OnBuild"] ?? []).toEqual([]);
  });

  test("triggers of an image name stages of this Dockerfile, and images that nothing else names [3.90]", async () => {
    const parent = await context({
      Dockerfile: `FROM BUSYBOX
ONBUILD COPY --from=assets /asset /asset
ONBUILD RUN --mount=type=bind,from=BUSYBOX,source=/etc,target=/other cat /other/group >/group
`,
    });
    await expectCli(["-t", "reading:1", parent]);
    const folder = await context({
      Dockerfile:
        "FROM BUSYBOX AS assets\nRUN echo a >/asset\nFROM reading:1\nRUN cat /asset /group >/all\n",
    });
    await expectCli(["-t", "read:1", folder]);
    expect(await output("read:1", "cat", "/all")).toMatch(/^a\nroot:x:0:/);
  });
});

test("--no-cache empties the cache mounts of the RUNs that it forces, once a build, and no others [6.16]", async () => {
  const mount = (id: string): string => `RUN --mount=type=cache,id=${id},target=/c`;
  const folder = await context({
    Dockerfile: `FROM BUSYBOX AS kept
${mount("stages-kept")} echo x >>/c/log && wc -l </c/log >/kept
FROM BUSYBOX AS emptied
${mount("stages-emptied")} echo x >>/c/log
${mount("stages-emptied")} echo x >>/c/log && wc -l </c/log >/emptied
FROM BUSYBOX
COPY --from=kept /kept /
COPY --from=emptied /emptied /
ARG RERUN
${mount("stages-kept")} wc -l </c/log >/still
`,
  });
  const lines = async (...flags: string[]): Promise<string> => {
    await expectCli(["-t", "mounts:1", ...flags, folder]);
    return (await output("mounts:1", "cat", "/kept", "/emptied", "/still")).replace(/\s+/g, " ");
  };
  expect(await lines()).toBe("1 2 1 ");
  expect(await lines("--no-cache-filter=emptied", "--build-arg", "RERUN=1")).toBe("1 2 1 ");
  expect(await lines("--no-cache")).toBe("1 2 1 ");
  expect(await lines("--no-cache-filter=kept", "--build-arg", "RERUN=2")).toBe("1 2 1 ");
});

describe("--no-cache-filter", () => {
  test("takes names in any case, several in a comma list, and --no-cache beats it [6.16]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX AS one
RUN echo one >/one
FROM BUSYBOX AS two
RUN echo two >/two
FROM BUSYBOX AS three
RUN echo three >/three
FROM BUSYBOX
COPY --from=one /one /
COPY --from=two /two /
COPY --from=three /three /
`,
    });
    const ran = async (...flags: string[]): Promise<string[]> => {
      const { stderr } = await expectCli(["--progress", "rawjson", "-t", "f:1", ...flags, folder]);
      return instructionSteps(stderr).flatMap(({ name, outcome }) => {
        const stage = /^\[(\w+) .* RUN /.exec(name)?.[1];
        return stage !== undefined && outcome === "done" ? [stage] : [];
      });
    };
    expect((await ran()).sort()).toEqual(["one", "three", "two"]);
    expect(await ran()).toEqual([]);
    expect((await ran("--no-cache-filter", "ONE,three")).sort()).toEqual(["one", "three"]);
    expect(await ran("--no-cache-filter=two")).toEqual(["two"]);
    const all = await ran("--no-cache-filter=two", "--no-cache");
    expect(all.sort()).toEqual(["one", "three", "two"]);
  });
});
