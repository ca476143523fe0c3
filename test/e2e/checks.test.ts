import { describe, expect, test } from "vitest";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

const url = "https://docs.docker.com/go/dockerfile/rule";

interface CheckDocument {
  readonly warnings: readonly { readonly ruleName: string; readonly detail: string }[];
  readonly buildError?: { readonly message: string };
}

async function checkJson(args: readonly string[]): Promise<CheckDocument> {
  const { stdout } = await cli(["build", "--call=check,format=json", ...args]);
  return JSON.parse(stdout) as CheckDocument;
}

describe("--check", () => {
  test("tells every finding with its lines and ends with 1 [7.10]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nMAINTAINER me\nCMD top\n" });
    const { code, stdout } = await cli(["--check", folder]);
    expect(code).toBe(1);
    expect(stdout).toBe(`Check complete, 2 warnings have been found!

WARNING: MaintainerDeprecated - ${url}/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:2
--------------------
   1 |     FROM scratch
   2 | >>> MAINTAINER me
   3 |     CMD top
--------------------

WARNING: JSONArgsRecommended - ${url}/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:3
--------------------
   1 |     FROM scratch
   2 |     MAINTAINER me
   3 | >>> CMD top
--------------------
`);
  });

  test("ends with 0 when there is nothing to tell, and makes no image", async () => {
    const root = await workspace.freshRoot();
    const folder = await context({ Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
    const { stdout } = await expectCli(["build", "--call=check", "-t", "app:1", folder], { root });
    expect(stdout).toBe("Check complete, no warnings found.\n");
    expect((await expectCli(["images", "-q"], { root })).stdout).toBe("");
  });

  test("looks at all stages, or at those that --target reaches [7.10]", async () => {
    const folder = await context({
      Dockerfile: "FROM scratch AS a\nMAINTAINER me\nCOPY $x /\nFROM scratch AS b\nCOPY $y /\n",
    });
    const all = await checkJson([folder]);
    const one = await checkJson(["--target", "b", folder]);
    const rules = ({ warnings }: CheckDocument) => warnings.map(({ ruleName }) => ruleName);
    expect(rules(all)).toEqual(["MaintainerDeprecated", "UndefinedVar", "UndefinedVar"]);
    // What text alone decides is told of every stage, as in a build.
    expect(rules(one)).toEqual(["MaintainerDeprecated", "UndefinedVar"]);
  });

  test("ends with 1 for a Dockerfile that cannot be built, told behind its findings [7.10]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch AS Bad\nRUM x\n" });
    const result = await cli(["--check", folder]);
    expect(result.code).toBe(1);
    expect(result.stdout).toContain("WARNING: StageNameCasing");
    expect(errorCode(result)).toBe("DOCKERFILE_UNKNOWN_INSTRUCTION");
    expect(result.stderr).toContain("2 | >>> RUM x");
    const { warnings, buildError } = await checkJson([folder]);
    expect(warnings).toHaveLength(1);
    expect(buildError?.message).toContain("dockerfile parse error on line 2");
  });

  test("ignorestatus leaves the exit code alone", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCMD top\n" });
    const { stdout } = await expectCli(["--call=check,ignorestatus=true", folder]);
    expect(stdout).toContain("1 warning has been found!");
    expect((await cli(["--call=check,format=json", folder])).code).toBe(1);
    expect((await cli(["--check", "--format=json", folder])).stdout).toContain('"warnings"');
  });

  test("knows what the base image sets [8.7, 8.11]", async () => {
    const base = await context({
      Dockerfile: 'FROM BUSYBOX\nENV SOURCE=x\nSHELL ["/bin/sh", "-ec"]\n',
    });
    const name = `${workspace.registry.host}/settings:1`;
    await expectCli(["build", "-t", name, base]);
    const folder = await context({ Dockerfile: `FROM ${name}\nCOPY $SOURCE $SUORCE /\nCMD top\n` });
    expect((await checkJson([folder])).warnings.map(({ detail }) => detail)).toEqual([
      "Usage of undefined variable '$SUORCE' (did you mean $SOURCE?)",
    ]);
  });

  test("a registry that does not answer leaves out what depends on it, and says so", async () => {
    const folder = await context({
      Dockerfile: "FROM 127.0.0.1:1/nothing:1\nCOPY $SOURCE /\nCMD top\nWORKDIR app\n",
    });
    const { code, stdout, stderr } = await cli(["--check", folder]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^Check complete, 1 warning has been found!\n/);
    expect(stdout).toContain("WorkdirRelativePath");
    expect(stderr).toContain("CHECK_BASE_UNKNOWN: nobody answers for the base image");
  });

  test("an image that its registry does not have is an error", async () => {
    const folder = await context({ Dockerfile: `FROM ${workspace.registry.host}/nothing:1\n` });
    const result = await cli(["--check", folder]);
    expect(result.code).toBe(1);
    expect(errorCode(result)).toBe("IMAGE_NOT_FOUND");
    expect(result.stderr).toContain("1 | >>> FROM");
  });

  test("a base image for another platform is told of [8.14]", async () => {
    const name = "127.0.0.1:1/here-only:1";
    const base = await context({ Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
    await expectCli(["build", "-t", name, "--platform", "linux/amd64", base]);
    const folder = await context({ Dockerfile: `FROM ${name}\n` });
    expect((await checkJson(["--platform", "linux/arm64", folder])).warnings).toMatchObject([
      {
        ruleName: "InvalidBaseImagePlatform",
        detail: `Base image ${name} was pulled with platform "linux/amd64", expected "linux/arm64" for current build`,
      },
    ]);
  });

  test("an unknown method is wrong usage", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\n" });
    const result = await cli(["--call=nothing", folder]);
    expect(result.code).toBe(2);
    expect(errorCode(result)).toBe("USAGE");
  });
});

describe("an ordinary build", () => {
  test("tells its findings at the end and goes on [7.10, 7.11]", async () => {
    const folder = await context({
      Dockerfile: "FROM scratch AS Base\nCOPY Dockerfile /\nCMD ['a']\n",
    });
    const { stderr } = await expectCli(["build", "--progress=plain", folder]);
    expect(stderr.slice(stderr.indexOf(" 3 warnings"))).toBe(` 3 warnings found:
 - StageNameCasing: Stage name 'Base' should be lowercase (line 1)
 - JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 3)
 - Tsbuild/SingleQuotedJson: CMD ['a'] is not JSON and will be run as a shell command (line 3)
   hint: use double quotes: CMD ["a"]
`);
  });

  test("tells a finding once for several platforms and stages [7.11]", async () => {
    const folder = await context({
      Dockerfile:
        "FROM scratch AS base\nONBUILD LABEL a $x\nFROM base AS one\nCMD top\nFROM one\nCOPY --from=one / /\n",
    });
    const args = ["--platform=linux/amd64,linux/arm64", "--progress=plain", "-o", "type=cacheonly"];
    const { stderr } = await expectCli(["build", ...args, folder]);
    expect(stderr.match(/^ - .*$/gm)).toEqual([
      expect.stringMatching(/^ - LegacyKeyValueFormat: .* \(line 3\)$/),
      expect.stringMatching(/^ - UndefinedVar: .* \(line 3\)$/),
      expect.stringMatching(/^ - JSONArgsRecommended: .* \(line 4\)$/),
    ]);
  });

  test("does not tell of stages that it does not need", async () => {
    const folder = await context({
      Dockerfile: "FROM scratch AS other\nCOPY $x /\nFROM scratch\nCOPY Dockerfile /\n",
    });
    const { stderr } = await expectCli(["build", "--progress=plain", folder]);
    expect(stderr).not.toContain("found:");
  });

  test("fails when the check directive makes findings errors [1.19, 7.10]", async () => {
    const folder = await context({
      Dockerfile: "# check=error=true\nFROM scratch\nCOPY Dockerfile /\nCMD top\n",
    });
    const result = await cli(["build", "--progress=plain", "-t", "violating:1", folder]);
    expect(result.code).toBe(1);
    expect(errorCode(result)).toBe("DOCKERFILE_CHECK_VIOLATED");
    expect(result.stderr).toContain("lint violation found for rules: JSONArgsRecommended");
    expect(result.stderr).toContain("4 | >>> CMD top");
    expect(result.stderr).toContain(" 1 warning found:");
    expect((await cli(["inspect", "violating:1"])).code).toBe(1);
  });

  test("BUILDKIT_DOCKERFILE_CHECK replaces the directive [1.20]", async () => {
    const folder = await context({ Dockerfile: "# check=error=true\nFROM scratch\nCMD top\n" });
    const given = "BUILDKIT_DOCKERFILE_CHECK=skip=all";
    const { stderr } = await expectCli(["build", "--build-arg", given, folder]);
    expect(stderr).not.toContain("found:");
  });

  test("-q prints the image ID and no findings", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCMD top\n" });
    const { stdout, stderr } = await expectCli(["build", "-q", folder]);
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(stderr).toBe("");
  });
});

describe("what --call tells", () => {
  const dockerfile = `# VERSION is what to build.
ARG VERSION=1.0
# build compiles.
FROM BUSYBOX AS build
ARG VERSION
RUN --mount=type=secret,id=token --mount=type=cache,target=/cache true

# release is what is shipped.
FROM scratch AS release
COPY --from=build / /
`;

  test("outline: what the target takes [1.28]", async () => {
    const folder = await context({ Dockerfile: dockerfile });
    const { stdout } = await expectCli(["build", "--call=outline", folder]);
    expect(stdout).toBe(`TARGET:        release
DESCRIPTION:   is what is shipped.

BUILD ARG   VALUE   DESCRIPTION
VERSION     1.0     is what to build.

SECRET   REQUIRED
token

CACHE
/cache
`);
    const json = await expectCli(["--call=outline,format=json", "--target=build", folder]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      name: "build",
      args: [{ name: "VERSION", value: "1.0", location: { ranges: [{ start: { line: 2 } }] } }],
      secrets: [{ name: "token" }],
      cache: [{ ID: "/cache" }],
    });
  });

  test("targets: the stages, without asking anybody for base images [1.28]", async () => {
    const folder = await context({ Dockerfile: dockerfile.replace("BUSYBOX", "127.0.0.1:1/x") });
    const { stdout } = await expectCli(["build", "--call=targets", folder]);
    expect(stdout).toBe(`TARGET              DESCRIPTION
build               compiles.
release (default)   is what is shipped.
`);
  });

  test("subrequests.describe: what can be asked", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\n" });
    const { stdout } = await expectCli(["build", "--call=subrequests.describe", folder]);
    expect(stdout).toMatch(/^NAME +VERSION +DESCRIPTION\noutline +1\.0\.0 /);
  });
});
