import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import {
  checkDockerfile,
  describeCalls,
  listTargets,
  outlineDockerfile,
  parseCall,
  toCheckDocument,
  toOutlineDocument,
  toTargetsDocument,
} from "../../../src/api/index.ts";
import { makeContext } from "../../support/setup-context.ts";

/** A root that nobody can open: calls that need no state must not try. */
const root = "/dev/null/no-state";

async function withDockerfile(Dockerfile: string): Promise<{ context: string; root: string }> {
  return { context: await makeContext({ Dockerfile }), root };
}

function lines(...numbers: readonly number[]): unknown {
  return { ranges: numbers.map((line) => ({ start: { line }, end: { line } })) };
}

describe("--call", () => {
  test.each([
    ["build", { method: "build", format: "text", ignoreStatus: false }],
    ["check", { method: "check", format: "text", ignoreStatus: false }],
    ["lint,format=json", { method: "check", format: "json", ignoreStatus: false }],
    ["check,format=json,ignorestatus", { method: "check", format: "json", ignoreStatus: true }],
    ["outline,ignorestatus=false", { method: "outline", format: "text", ignoreStatus: false }],
    ["subrequests.describe", { method: "subrequests.describe" }],
  ])("%s", (text, expected) => {
    expect(parseCall(text)).toMatchObject(expected);
  });

  test.each([
    "",
    "nothing",
    "check,nothing",
    "check,format=xml",
    "check,ignorestatus=x",
    "toString",
  ])("%j is refused", (text) => {
    expect(() => parseCall(text)).toThrow(expect.objectContaining({ code: "USAGE" }) as Error);
  });

  test("the list of calls names them as BuildKit does", () => {
    expect(describeCalls().map(({ name, version }) => `${name} ${version}`)).toEqual([
      "frontend.outline 1.0.0",
      "frontend.targets 1.0.0",
      "frontend.lint 1.0.0",
      "frontend.subrequests.describe 1.0.0",
    ]);
  });
});

describe("check", () => {
  test("all stages are checked, unless a target is named [7.10]", async () => {
    const options = await withDockerfile(
      "FROM scratch AS a\nCOPY $one /\nFROM scratch AS b\nCOPY $two /\nFROM b\nCOPY $three /\n",
    );
    const told = async (target?: string): Promise<readonly number[]> =>
      (await checkDockerfile({ ...options, target })).warnings.map(({ location }) => location.line);
    expect(await told()).toEqual([2, 4, 6]);
    expect(await told("")).toEqual([2, 4, 6]);
    expect(await told("b")).toEqual([4]);
  });

  test("its document has BuildKit's fields, a range for each line", async () => {
    const options = await withDockerfile("FROM scratch\nMAINTAINER \\\n  me\n");
    const document = toCheckDocument(await checkDockerfile(options));
    const bytes = await readFile(join(options.context, "Dockerfile"));
    expect(document).toEqual({
      warnings: [
        {
          ruleName: "MaintainerDeprecated",
          description: expect.any(String) as string,
          url: "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
          detail: "Maintainer instruction is deprecated in favor of using label",
          location: lines(2, 3),
        },
      ],
      sources: [{ filename: "Dockerfile", data: bytes.toString("base64"), language: "Dockerfile" }],
    });
  });

  test("an error is part of the result, behind the findings before it [7.10]", async () => {
    const result = await checkDockerfile(await withDockerfile("FROM scratch AS Bad\nRUM x\n"));
    expect(result.warnings.map(({ code }) => code)).toEqual(["StageNameCasing"]);
    expect(result.error).toMatchObject({
      code: "DOCKERFILE_UNKNOWN_INSTRUCTION",
      details: { source: "FROM scratch AS Bad\nRUM x\n" },
    });
    expect(toCheckDocument(result).buildError).toEqual({
      message: expect.stringContaining("unknown instruction: RUM") as string,
      location: lines(2),
    });
  });

  test("error=true is an error beside its findings [1.19, 7.10]", async () => {
    const options = await withDockerfile("# check=error=true\nFROM scratch\nCMD top\n");
    const { warnings, error } = await checkDockerfile(options);
    expect(warnings).toHaveLength(1);
    expect(error?.message).toBe("lint violation found for rules: JSONArgsRecommended");
  });

  test("the ignore file beside the Dockerfile counts [8.19]", async () => {
    const context = await makeContext({
      Dockerfile: "FROM scratch\nCOPY kept left /\n",
      ".dockerignore": "kept\n",
      "Dockerfile.dockerignore": "left\n",
    });
    const { warnings } = await checkDockerfile({ context, root });
    expect(warnings.map(({ message }) => message)).toEqual([
      'Attempting to Copy file "left" that is excluded by .dockerignore',
    ]);
  });

  test("of several tokens in one instruction none is to be shown", async () => {
    const tokens = ["a", "b"].map((letter) => `glpat-${letter.repeat(20)}`);
    const options = await withDockerfile(`FROM scratch\nLABEL x="${tokens.join(" ")}"\n`);
    const { warnings } = await checkDockerfile(options);
    expect(warnings.map(({ code, secrets }) => [code, secrets])).toEqual([
      ["Tsbuild/SecretInText", tokens],
    ]);
  });

  test("the Dockerfile may come from standard input", async () => {
    const context = await makeContext({ file: "" });
    const result = await checkDockerfile({
      context,
      file: "-",
      root: await makeContext({}),
      stdin: Readable.from([Buffer.from("FROM scratch\nCMD top\n")]),
    });
    expect(result.warnings.map(({ code }) => code)).toEqual(["JSONArgsRecommended"]);
  });
});

describe("outline", () => {
  test("tells arguments with descriptions, secrets, agents and caches [1.28]", async () => {
    const options = await withDockerfile(
      [
        "# GLOBAL is used by a default.",
        "ARG GLOBAL=g",
        "ARG UNUSED=u",
        "ARG NAME=n-${GLOBAL}",
        "#",
        "# BASE is where it begins",
        "ARG BASE=scratch",
        "FROM ${BASE} AS below",
        "# something else",
        "",
        "# WITH a value",
        "ARG WITH=w WITHOUT",
        "RUN --mount=type=secret,id=token,required=true --mount=type=secret,id=other true",
        "FROM scratch AS unreached",
        "ARG NEVER",
        "# final is what is shipped",
        "FROM below AS final",
        "ARG NAME",
        "ARG GIVEN=default",
        "RUN --mount=type=ssh --mount=type=cache,target=/c --mount=type=secret,id=token true",
        "",
      ].join("\n"),
    );
    const outline = await outlineDockerfile({ ...options, buildArgs: ["GIVEN=by hand"] });
    const { sources, ...document } = toOutlineDocument(outline);
    expect(document).toEqual({
      name: "final",
      description: "is what is shipped",
      args: [
        { name: "GLOBAL", description: "is used by a default.", value: "g", location: lines(2) },
        { name: "NAME", value: "n-g", location: lines(4) },
        { name: "BASE", description: "is where it begins", value: "scratch", location: lines(7) },
        { name: "WITH", description: "a value", value: "w", location: lines(12) },
        { name: "WITHOUT", location: lines(12) },
        { name: "GIVEN", value: "by hand", location: lines(19) },
      ],
      secrets: [
        { name: "other", location: lines(13) },
        { name: "token", required: true, location: lines(13) },
      ],
      ssh: [{ name: "default", location: lines(20) }],
      cache: [{ ID: "/c", location: lines(20) }],
    });
    const [source = ""] = sources;
    expect(Buffer.from(source, "base64").toString()).toContain("ARG GLOBAL=g");
  });

  test("of another target leaves out what that does not reach", async () => {
    const options = await withDockerfile(
      "FROM scratch AS a\nARG A\nFROM a AS b\nARG B\nFROM scratch\nARG C\n",
    );
    const outline = await outlineDockerfile({ ...options, target: "b" });
    expect(outline.args.map(({ name }) => name)).toEqual(["A", "B"]);
  });

  test("empty lists are left out", async () => {
    const outline = await outlineDockerfile(await withDockerfile("FROM scratch\n"));
    expect(Object.keys(toOutlineDocument(outline))).toEqual(["sources"]);
  });
});

describe("targets", () => {
  test("tells every stage, the default one last [1.28]", async () => {
    const options = await withDockerfile(
      [
        "ARG BASE=nobody.invalid/base",
        "# build compiles it",
        "",
        "FROM --platform=$BUILDPLATFORM ${BASE} AS Build",
        "# not about the stage",
        "FROM scratch AS plain",
        "# gone is forgotten",
        "#",
        "FROM plain AS gone",
        "FROM build",
        "",
      ].join("\n"),
    );
    const { targets } = toTargetsDocument(await listTargets(options));
    expect(targets).toEqual([
      {
        name: "build",
        description: "compiles it",
        base: "${BASE}",
        platform: "$BUILDPLATFORM",
        location: lines(4),
      },
      { name: "plain", base: "scratch", location: lines(6) },
      { name: "gone", base: "plain", location: lines(9) },
      { default: true, base: "build", location: lines(10) },
    ]);
  });
});
