import { describe, expect, test } from "vitest";
import { pushBusybox } from "../support/busybox-image.ts";
import { buildLayout, hostArch, type WireImage } from "../support/setup-platforms.ts";
import { runProgram, useWorkspace } from "../support/setup-workspace.ts";

// The config document as a stranger reads it, field by field.
const workspace = useWorkspace();
const { context } = workspace;

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

async function configOf(
  dockerfile: string,
  args: readonly string[] = [],
): Promise<WireImage["config"]> {
  const folder = await context({ Dockerfile: dockerfile, f: "f" });
  return (await (await buildLayout(workspace, folder, args)).image()).config;
}

describe("history", () => {
  test("has an entry for each instruction but FROM and ONBUILD, in BuildKit's words [3.1, 3.2]", async () => {
    const { history, rootfs } = await configOf(`FROM BUSYBOX
ARG A=1
ENV E=2
LABEL l=3
RUN true
COPY f /f
ADD f /g
WORKDIR /w
WORKDIR /
USER 1
EXPOSE 80
VOLUME /v
STOPSIGNAL 9
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK NONE
CMD ["a"]
ENTRYPOINT ["b"]
MAINTAINER m
ONBUILD RUN never
`);
    const [base, ...own] = history;
    expect(base?.created_by).toBe("root filesystem");
    expect(own.map(({ created_by, empty_layer }) => [created_by, empty_layer ?? false])).toEqual([
      ["ARG A=1", true],
      ["ENV E=2", true],
      ["LABEL l=3", true],
      ["RUN |1 A=1 /bin/sh -c true # buildkit", false],
      ["COPY f /f # buildkit", false],
      ["ADD f /g # buildkit", false],
      ["WORKDIR /w", false],
      ["WORKDIR /", true],
      ["USER 1", true],
      ["EXPOSE [80/tcp]", true],
      ["VOLUME [/v]", true],
      ["STOPSIGNAL 9", true],
      ["SHELL [/bin/sh -ec]", true],
      [
        "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        true,
      ],
      ['CMD ["a"]', true],
      ['ENTRYPOINT ["b"]', true],
      ["MAINTAINER m", true],
    ]);
    for (const { comment } of own) expect(comment).toBe("buildkit.dockerfile.v0");
    expect(rootfs.diff_ids).toHaveLength(1 + 4);
  });

  test("keeps layers that turned out empty [3.2]", async () => {
    const { history, rootfs } = await configOf(
      "FROM BUSYBOX\nRUN true\nWORKDIR /etc\nRUN touch /t && rm /t\n",
    );
    expect(history.every(({ empty_layer }) => empty_layer !== true)).toBe(true);
    const [, first, second] = rootfs.diff_ids;
    expect(rootfs.diff_ids).toHaveLength(4);
    expect(second).toBe(first);
  });

  test("gives what has no layer the time of its neighbour, and the image the last [3.3]", async () => {
    const { history, created } = await configOf(`FROM BUSYBOX
ENV BEFORE=1
RUN sleep 0.02; echo 1 >/1
ENV BETWEEN=1
RUN sleep 0.02; echo 2 >/2
ENV AFTER=1
`);
    const [base, before, first, between, second, after] = history.map((entry) => entry.created);
    expect(base).toBe("1970-01-01T00:00:00Z");
    expect(before).toBe(first);
    expect(between).toBe(second);
    expect(after).toBe(second);
    expect(created).toBe(after);
    expect(Date.parse(second ?? "")).toBeGreaterThan(Date.parse(first ?? ""));
  });

  test("has one time throughout with SOURCE_DATE_EPOCH, but for the base's part [3.3]", async () => {
    const text = "FROM BUSYBOX\nENV A=1\nRUN echo new >/n\nLABEL b=1\n";
    const { history, created } = await configOf(text, [
      ...["--build-arg", "SOURCE_DATE_EPOCH=1700000000"],
    ]);
    const times = history.map((entry) => Date.parse(entry.created ?? ""));
    expect(times).toEqual([0, ...Array<number>(3).fill(1_700_000_000_000)]);
    expect(Date.parse(created ?? "")).toBe(1_700_000_000_000);
  });
});

describe("config", () => {
  test("of an empty start is this and nothing else [3.4]", async () => {
    const config = await configOf("FROM scratch\nCOPY f /\n");
    expect(config).toEqual({
      architecture: hostArch,
      os: "linux",
      config: { Env: [defaultPath], WorkingDir: "/" },
      created: expect.any(String) as string,
      history: [
        {
          created: config.created,
          created_by: "COPY f / # buildkit",
          comment: "buildkit.dockerfile.v0",
        },
      ],
      rootfs: { type: "layers", diff_ids: [expect.stringMatching(/^sha256:[0-9a-f]{64}$/)] },
    });
  });

  test("starts as the base's, without its time and its triggers [3.4]", async () => {
    const base = await pushBusybox(workspace.registry.host, {
      name: "inherited:1",
      config: {
        Env: ["A=1", "B=2"],
        Cmd: ["sh"],
        Entrypoint: ["/e"],
        WorkingDir: "/etc",
        User: "7:8",
        OnBuild: ["LABEL triggered=yes"],
      },
    });
    const { config, created, history } = await configOf(`FROM ${base}\nLABEL a=b\n`);
    expect(config).toEqual({
      Env: ["A=1", "B=2", defaultPath],
      Cmd: ["sh"],
      Entrypoint: ["/e"],
      WorkingDir: "/etc",
      User: "7:8",
      Labels: { a: "b", triggered: "yes" },
    });
    expect(created).toBe(history.at(-1)?.created);
  });

  test("edits variables where they stand [3.5]", async () => {
    const base = await pushBusybox(workspace.registry.host, {
      name: "ordered:1",
      config: { Env: ["A=1", "PATH=/bin", "B=2", "A=shadow"] },
    });
    const { config } = await configOf(`FROM ${base}\nENV C=3 B=new\nENV A=changed D=4\nENV C=5\n`);
    const names = (config["Env"] as string[]).map((entry) => entry.split("=")[0]);
    expect(names.filter((name, index) => names.indexOf(name) === index)).toEqual([
      ...["A", "PATH", "B", "C", "D"],
    ]);
    expect(config["Env"]).toContain("A=changed");
    expect(config["Env"]).toContain("B=new");
    expect(config["Env"]).toContain("C=5");
  });

  test("takes labels of the command line last, without history [3.7]", async () => {
    const args = ["--label", "own=cli", "--label", "new=a=b", "--label", "empty"];
    const { config, history } = await configOf("FROM scratch\nLABEL own=file kept=file\n", args);
    expect(config["Labels"]).toEqual({ own: "cli", kept: "file", new: "a=b", empty: "" });
    expect(history.map(({ created_by }) => created_by)).toEqual(["LABEL own=file kept=file"]);
  });

  test("is one line of JSON that others read as it is", async () => {
    const folder = await context({ Dockerfile: 'FROM scratch\nLABEL a="<&>"\nCOPY f /\n', f: "f" });
    const layout = await buildLayout(workspace, folder, ["-t", "read:1"]);
    const { manifest } = await layout.image();
    const text = await layout.text(manifest.config.digest);
    expect(text.split("\n")).toHaveLength(1);
    expect(Object.keys(JSON.parse(text) as object)).toEqual(
      Object.keys(JSON.parse(text) as object).sort(),
    );
    const told = await runProgram("skopeo", ["inspect", "--config", `oci:${layout.directory}:1`]);
    expect(JSON.parse(told)).toMatchObject({ config: { Labels: { a: "<&>" } } });
  });
});
