import { describe, expect, test } from "vitest";
import { Linter, parseDockerfile } from "../../../src/dockerfile/index.ts";
import { planBuild, type Plan, type PlanOptions } from "../../../src/plan/index.ts";
import { createFakeBases } from "../../support/fake-bases.ts";

const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64" };

function plan(text: string, options: Partial<PlanOptions> = {}): Promise<Plan> {
  return planBuild(parseDockerfile(text, { file: "Dockerfile" }), {
    buildArgs: new Map(),
    platforms: [amd64],
    buildPlatform: amd64,
    resolveBase: createFakeBases().resolveBase,
    ...options,
  });
}

describe("base images", () => {
  test("each is asked for once, and only when the target reaches it [3.13, 4.2]", async () => {
    const bases = createFakeBases();
    const text =
      "FROM missing:1 AS no\nFROM debian:12 AS a\nFROM debian:12 AS b\nFROM node:22\nCOPY --from=a / /a\nCOPY --from=b / /b\nCOPY --from=debian:12 / /c\n";
    await plan(text, { resolveBase: bases.resolveBase });
    expect([...bases.asked].sort()).toEqual([
      "docker.io/library/debian:12",
      "docker.io/library/node:22",
    ]);
  });

  test("independent ones are looked up at the same time", async () => {
    const { resolveBase } = createFakeBases();
    let waiting = 0;
    let release: () => void = () => undefined;
    const bothAsked = new Promise<void>((resolve) => (release = resolve));
    await plan("FROM debian:12 AS a\nFROM node:22\nCOPY --from=a / /\n", {
      resolveBase: async (...request) => {
        waiting++;
        if (waiting === 2) release();
        await bothAsked;
        return resolveBase(...request);
      },
    });
    expect(waiting).toBe(2);
  });

  test("--platform of a stage decides for which platform [3.12]", async () => {
    const { resolveBase } = createFakeBases();
    const asked: string[] = [];
    await plan(
      "FROM --platform=linux/arm64 debian:12 AS a\nFROM debian:12\nCOPY --from=a / /\nCOPY --from=node:22 / /\n",
      {
        resolveBase: (reference, platform, location) => {
          asked.push(`${reference} ${platform.architecture} line ${String(location.line)}`);
          return resolveBase(reference, platform, location);
        },
      },
    );
    expect(asked.sort()).toEqual([
      "docker.io/library/debian:12 amd64 line 2",
      "docker.io/library/debian:12 arm64 line 1",
      "docker.io/library/node:22 amd64 line 4",
    ]);
  });
});

describe("vertices", () => {
  test("inputs come before their users", async () => {
    const { vertices, targets } = await plan(
      "FROM debian:12 AS a\nRUN x\nFROM a\nCOPY --from=a . .\nADD https://example.org/f f\n",
    );
    for (const { id, inputs } of vertices) {
      for (const input of inputs) expect(input).toBeLessThan(id);
    }
    expect(vertices.map(({ id }) => id)).toEqual([...vertices.keys()]);
    expect(targets[0]?.vertex).toBe(vertices.at(-1)?.id);
  });

  test("the same step on the same root is one vertex, whatever the stage is called [4.8]", async () => {
    const { vertices } = await plan(
      "FROM debian:12 AS a\nRUN same\nFROM debian:12 AS b\n\n\nrun same\nFROM scratch\nCOPY --from=a / /a\nCOPY --from=b / /b\n",
    );
    expect(vertices.filter(({ op }) => op.type === "exec")).toHaveLength(1);
  });

  test("ops tell neither stage names nor places in the file", async () => {
    const first = await plan("FROM debian:12 AS one\nENV A=1\nCOPY a b\nRUN x\n");
    const second = await plan(
      "# c\n\nFROM debian:12 AS two\nLABEL l=1\nENV A=1\nCOPY   a   b\nRUN x\nCMD y\n",
    );
    expect(second.vertices.map(({ op }) => op)).toEqual(first.vertices.map(({ op }) => op));
  });

  test("a stage that does not use the target platform is shared between platforms", async () => {
    const { vertices, targets } = await plan(
      "FROM --platform=$BUILDPLATFORM debian:12 AS build\nRUN cross\nFROM scratch\nCOPY --from=build /x /\n",
      { platforms: [amd64, arm64], platformsRequested: true },
    );
    expect(vertices.filter(({ op }) => op.type === "exec")).toHaveLength(1);
    expect(targets.map(({ config }) => config.architecture)).toEqual(["amd64", "arm64"]);
  });
});

describe("config", () => {
  test("the base image says what it is for, unless a platform was asked for", async () => {
    const linter = new Linter();
    const own = await plan("FROM arm:1\n", { linter });
    const asked = await plan("FROM arm:1\n", { platformsRequested: true });
    expect(own.targets[0]?.config).toMatchObject({ architecture: "arm64", variant: "v8" });
    expect(asked.targets[0]?.config).toMatchObject({ architecture: "amd64" });
    expect(asked.targets[0]?.config).not.toHaveProperty("variant");
    expect(linter.warnings.map(({ code }) => code)).toEqual(["InvalidBaseImagePlatform"]);
  });

  test("history of the base stays apart from what the build adds", async () => {
    const { targets } = await plan("FROM debian:12 AS a\nENV A=1\nFROM a\nRUN x\nLABEL b=c\n");
    expect(targets[0]?.baseHistory).toHaveLength(1);
    expect(targets[0]?.history.map(({ createdBy }) => createdBy)).toEqual([
      "ENV A=1",
      "RUN /bin/sh -c x # buildkit",
      "LABEL b=c",
    ]);
  });

  test("a child stage does not change its parent", async () => {
    const text =
      "FROM debian:12 AS a\nENV A=1\nUSER one\nFROM a AS b\nENV A=2\nUSER two\nVOLUME /v\n";
    const { targets } = await plan(text, { target: "a" });
    expect(targets[0]?.config.config).toMatchObject({ user: "one" });
    expect(targets[0]?.config.config).not.toHaveProperty("volumes");
    expect(targets[0]?.config.config.env).toContain("A=1");
  });
});

describe("names of steps", () => {
  test.each([
    ["FROM debian:12\nRUN x\n", ["[1/2] FROM docker.io/library/debian:12", "[2/2] RUN x"]],
    ["FROM debian:12 AS b\nRUN x\n", ["[1/2] FROM docker.io/library/debian:12", "[2/2] RUN x"]],
    [
      "FROM debian:12\nRUN --mount=type=cache,target=/c x\n",
      [
        "[stage-0 1/2] FROM docker.io/library/debian:12",
        "[stage-0 2/2] RUN --mount=type=cache,target=/c x",
      ],
    ],
  ])("%j", async (text, names) => {
    expect((await plan(text)).vertices.map(({ name }) => name)).toEqual(names);
  });

  test("a secret in the environment is not shown [3.91]", async () => {
    const { vertices } = await plan(
      "FROM debian:12\nARG TOKEN=visible\nRUN --mount=type=secret,id=t,env=TOKEN curl $TOKEN\n",
    );
    expect(vertices.at(-1)?.name.endsWith("curl ****")).toBe(true);
  });
});

test("proxies reach every RUN in both cases and nothing else", async () => {
  const { vertices, targets } = await plan("FROM debian:12\nENV P=$HTTP_PROXY\nRUN x\n", {
    buildArgs: new Map([
      ["HTTP_PROXY", "upper"],
      ["http_proxy", "lower"],
      ["All_Proxy", "mixed"],
    ]),
  });
  const op = vertices.at(-1)?.op;
  expect(op).toMatchObject({
    uncachedEnv: ["HTTP_PROXY=lower", "http_proxy=lower", "ALL_PROXY=mixed", "all_proxy=mixed"],
  });
  expect(op?.type === "exec" ? op.env : []).toContain("P=");
  expect(targets[0]?.history.at(-1)?.createdBy).toBe("RUN /bin/sh -c x # buildkit");
});

test("an unknown target suggests a stage [4.1]", async () => {
  await expect(plan("FROM debian:12 AS build\n", { target: "bulid" })).rejects.toMatchObject({
    code: "PLAN_TARGET_UNKNOWN",
    message: 'target stage "bulid" could not be found (did you mean build?)',
  });
});

describe("where in an instruction a finding of planning is", () => {
  test.each([
    ["COPY $SRC$A /$NOPE2/${NOPE:-/x}/\n", [2, 21, "${NOPE:-/x}"]],
    ["ENV X=1 \\\n  Y='a'\"$NOPE\"\n", [3, 9, "$NOPE"]],
    ["EXPOSE 8080 80/TCP\n", [2, 13, "80/TCP"]],
    ["WORKDIR srv\n", [2, 9, "srv"]],
    ["ENV A=1 API_KEY=x\n", [2, 9, "API_KEY"]],
  ])("%j", async (step, expected) => {
    const linter = new Linter();
    const text = `FROM debian:12\n${step}`;
    await planBuild(parseDockerfile(text, { file: "Dockerfile", observer: linter }), {
      buildArgs: new Map(),
      platforms: [amd64],
      buildPlatform: amd64,
      resolveBase: createFakeBases().resolveBase,
      linter,
    });
    const lines = text.split("\n");
    const words = linter.warnings.map(({ place }) => {
      const { line = 0, column = 0, length = 0 } = place ?? {};
      return [line, column, (lines[line - 1] ?? "").slice(column - 1, column - 1 + length)];
    });
    expect(words).toContainEqual(expected);
  });
});

test("an image that is not there may be a misspelt stage", async () => {
  const text = "FROM debian:12 AS build\nFROM node:22\nCOPY --from=biuld / /\n";
  await expect(plan(text)).rejects.toMatchObject({
    hint: "did you mean the stage build?",
    location: { line: 3, column: 13, length: 5 },
  });
});
