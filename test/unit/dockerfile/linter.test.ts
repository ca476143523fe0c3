import { describe, expect, test } from "vitest";
import {
  Linter,
  parseDockerfile,
  undefinedVar,
  type LintWarning,
} from "../../../src/dockerfile/index.ts";

/** What the rules find that text alone decides. */
function find(text: string, override?: string): readonly LintWarning[] {
  const linter = new Linter({ override });
  parseDockerfile(text, { file: "Dockerfile", observer: linter });
  return linter.warnings;
}

function names(text: string, override?: string): readonly string[] {
  return find(text, override).map(({ code }) => code);
}

const bad = "FROM scratch AS Bad\nMAINTAINER me\n";

describe("the check directive [1.19]", () => {
  test.each([
    ["skip=all", []],
    ["skip=StageNameCasing", ["MaintainerDeprecated"]],
    ["skip=StageNameCasing,MaintainerDeprecated", []],
    ["error=1;skip=StageNameCasing", ["MaintainerDeprecated"]],
    ["error=F", ["StageNameCasing", "MaintainerDeprecated"]],
    ["skip=all;experimental=all", ["Tsbuild/RootAtEnd"]],
    ["", ["StageNameCasing", "MaintainerDeprecated"]],
  ])("%s leaves %j", (check, expected) => {
    expect(names(`# check=${check}\n${bad}`)).toEqual(expected);
  });

  test.each(["skip", "nothing=x", "error=perhaps", "skip=all;", "skip=all; error=true"])(
    "refuses %j with its place",
    (check) => {
      expect(() => names(`# escape=\\\n# check=${check}\n${bad}`)).toThrow(
        expect.objectContaining({
          code: "DOCKERFILE_CHECK_INVALID",
          message: expect.stringContaining("invalid check option") as string,
          location: expect.objectContaining({ line: 2, column: 1 }) as unknown,
          hint: expect.stringContaining("skip=") as string,
        }) as Error,
      );
    },
  );

  test("a part behind the third semicolon belongs to the third part", () => {
    expect(() => names(`# check=skip=A;error=true;experimental=B;skip=C\n${bad}`)).not.toThrow();
    expect(() => names(`# check=skip=A;experimental=B;error=true;skip=C\n${bad}`)).toThrow(
      'invalid check option "error=true;skip=C"',
    );
  });
});

describe("BUILDKIT_DOCKERFILE_CHECK [1.20]", () => {
  test("replaces the directive, which is not even read", () => {
    expect(names(`# check=nonsense\n${bad}`, "skip=StageNameCasing")).toEqual([
      "MaintainerDeprecated",
    ]);
  });

  test("may hold blanks around its parts", () => {
    expect(names(bad, " skip = StageNameCasing, MaintainerDeprecated ; error=true ")).toEqual([]);
  });

  test("is named when it cannot be read", () => {
    expect(() => names(bad, "skip")).toThrow(
      'failed to parse the build argument BUILDKIT_DOCKERFILE_CHECK: invalid check option "skip"',
    );
  });
});

describe("a comment above an instruction [1.20]", () => {
  test("only the first check line of the block counts, and only in its block", () => {
    const skip = (rule: string): string => `# check=skip=${rule}\n`;
    const above = (comments: string): string => `FROM scratch\n${comments}MAINTAINER me\n`;
    expect(names(above(skip("MaintainerDeprecated")))).toEqual([]);
    expect(names(above(`# why\n${skip("MaintainerDeprecated")}# because\n`))).toEqual([]);
    expect(names(above(`${skip("Other")}${skip("MaintainerDeprecated")}`))).toHaveLength(1);
    expect(names(above(`${skip("MaintainerDeprecated")}#\n`))).toHaveLength(1);
    expect(names(above(`${skip("MaintainerDeprecated")}RUN true\n`))).toHaveLength(1);
  });

  test("cannot make findings errors", () => {
    const linter = new Linter();
    const text = "FROM scratch\n# check=error=true\nMAINTAINER me\n";
    parseDockerfile(text, { file: "Dockerfile", observer: linter });
    expect(linter.warnings).toHaveLength(1);
    expect(linter.violation()).toBeUndefined();
  });
});

describe("findings", () => {
  test("are told in the order of the file, and once each [7.11]", () => {
    const linter = new Linter();
    const place = (line: number) => ({ location: { file: "Dockerfile", line, column: 1 } });
    for (const line of [9, 2, 9]) linter.report(undefinedVar, { at: place(line), message: "x" });
    linter.report(undefinedVar, { at: place(2), message: "y" });
    expect(linter.warnings.map(({ location, message }) => [location.line, message])).toEqual([
      [2, "x"],
      [2, "y"],
      [9, "x"],
    ]);
  });

  test("of error=true name each rule once, and point at the first [7.10]", () => {
    const linter = new Linter({ override: "error=true" });
    const text = "FROM scratch AS Bad\nMAINTAINER me\nMAINTAINER you\n";
    parseDockerfile(text, { file: "Dockerfile", observer: linter });
    expect(linter.violation()).toMatchObject({
      code: "DOCKERFILE_CHECK_VIOLATED",
      message: "lint violation found for rules: StageNameCasing, MaintainerDeprecated",
      location: { line: 1 },
    });
  });

  test("come before the error of a later line", () => {
    const linter = new Linter();
    const parse = (): unknown =>
      parseDockerfile("FROM scratch AS Bad\nNOTHING\n", { file: "D", observer: linter });
    expect(parse).toThrow("unknown instruction: NOTHING");
    expect(linter.warnings.map(({ code }) => code)).toEqual(["StageNameCasing"]);
  });

  test("carry what tools show beside the message", () => {
    const [first] = find(bad);
    expect(first).toMatchObject({
      code: "StageNameCasing",
      message: "Stage name 'Bad' should be lowercase",
      url: "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
      location: { line: 1, column: 1, length: 19 },
    });
  });
});

describe("where in an instruction a finding is", () => {
  /** Line, column and text of the wrong word. */
  function placesOf(text: string): readonly unknown[] {
    const lines = text.split("\n");
    return find(text).map(({ place }) => {
      if (place === undefined) return undefined;
      const { line, column, length = 0 } = place;
      return [line, column, (lines[line - 1] ?? "").slice(column - 1, column - 1 + length)];
    });
  }

  test("the stage's name, not an image of the same name", () => {
    expect(placesOf("FROM base AS Base\nFROM base AS \\\n  base\nFROM a AS scratch\n")).toEqual([
      [1, 14, "Base"],
      [3, 3, "base"],
      [4, 11, "scratch"],
    ]);
  });

  test("keywords", () => {
    expect(placesOf("FROM a as b\nRUN x\nrun run\n")).toEqual([
      [1, 8, "as"],
      [3, 1, "run"],
    ]);
  });

  test("error=true points at the first of them, and the lines are those of the instruction", () => {
    const linter = new Linter({ override: "error=true" });
    const text = "FROM a \\\n  AS Base\n";
    parseDockerfile(text, { file: "Dockerfile", observer: linter });
    expect(linter.violation()?.location).toMatchObject({ line: 2, column: 6, length: 4 });
    expect(linter.warnings[0]?.location).toMatchObject({ line: 1, endLine: 2 });
  });
});

describe("NoEmptyContinuation", () => {
  const continued = "FROM a\nRUN b \\\n\n  c\n";

  test("is told when a later instruction cannot be read", () => {
    const linter = new Linter();
    const parse = (rest: string): unknown =>
      parseDockerfile(continued + rest, { file: "Dockerfile", observer: linter });
    expect(() => parse("FOO\n")).toThrow("unknown instruction: FOO");
    expect(linter.warnings.map(({ code, location }) => [code, location.line])).toEqual([
      ["NoEmptyContinuation", 4],
    ]);
  });

  test("is not told when the raw grammar is wrong, as in the reference frontend", () => {
    const linter = new Linter();
    const text = `${continued}RUN <<EOF\n`;
    expect(() => parseDockerfile(text, { file: "Dockerfile", observer: linter })).toThrow(
      "unterminated heredoc",
    );
    expect(linter.warnings).toEqual([]);
  });
});
