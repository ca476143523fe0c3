import { describe, expect, test } from "vitest";
import { isTsbuildError, type TsbuildError } from "../../../src/core/index.ts";
import {
  Linter,
  parseDockerfile,
  parseInstruction,
  suggest,
} from "../../../src/dockerfile/index.ts";

function parse(text: string | Uint8Array): ReturnType<typeof parseDockerfile> {
  return parseDockerfile(text, { file: "Dockerfile" });
}

function failureOf(text: string): TsbuildError {
  try {
    parse(text);
  } catch (error) {
    if (isTsbuildError(error)) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("what beginners get wrong", () => {
  test.each([
    ['ENTRYPOINT["python"]', "DOCKERFILE_UNKNOWN_INSTRUCTION", "blank between ENTRYPOINT and ["],
    ["COPY ./opt/code", "DOCKERFILE_ARGUMENTS", "COPY ./opt/code /app/"],
    ["COPY --chonw=1 a b", "DOCKERFILE_FLAG_UNKNOWN", "COPY knows --from, --chown"],
    ["CMD --port 80", "DOCKERFILE_FLAG_UNKNOWN", "CMD has no flags"],
    ["COPY --from builder a b", "DOCKERFILE_FLAG_VALUE", "--from=VALUE"],
    ["FROM debian 12", "DOCKERFILE_ARGUMENTS", "FROM debian:12"],
    ["FROM debian SA build", "DOCKERFILE_ARGUMENTS", "FROM debian AS build"],
    ["SHELL /bin/bash", "DOCKERFILE_JSON", "SHELL ["],
    ["ENV NAME", "DOCKERFILE_ARGUMENTS", "ENV NAME=value"],
  ])("%s", (line, code, hint) => {
    const error = failureOf(`FROM debian:12\n${line}\n`);
    expect(error.code).toBe(code);
    expect(error.location?.line).toBe(2);
    expect(error.hint).toContain(hint);
  });
});

describe("where an error is", () => {
  test("a flag on a continued line has that line and its own column", () => {
    const { location } = failureOf("FROM a\nRUN --network=none \\\n # why\n   --mnt=x y\n");
    expect(location).toMatchObject({ line: 4, column: 4, length: 7 });
  });

  test("a lone carriage return is a blank, not the end of a line", () => {
    expect(failureOf("FROM a\n\rO b\n").location).toMatchObject({ line: 2, column: 2, length: 1 });
  });

  test("with the backtick as escape character too", () => {
    const { location } = failureOf("# escape=`\nFROM a\nENV A=1 `\n  =2\n");
    expect(location).toMatchObject({ line: 4, column: 3, length: 2 });
  });

  test("a range covers every line of an instruction, bodies of heredocs included", () => {
    const [stage] = parse("FROM a\nRUN x \\\n y\nCOPY <<A <<B /d\n1\nA\n2\nB\nRUN z\n").stages;
    const ranges = stage?.instructions.map(({ location }) => [location.line, location.endLine]);
    expect(ranges).toEqual([
      [2, 3],
      [4, 8],
      [9, 9],
    ]);
  });
});

describe("the file as a whole", () => {
  test("bytes and text are the same", () => {
    const text = "FROM a\nLABEL x=é\n";
    expect(parse(new TextEncoder().encode(text))).toEqual(parse(text));
  });

  test("directives", () => {
    const { directives } = parse("#!/bin/x\n# syntax = a/b:1\n# escape=`\nFROM a\n");
    expect(directives).toMatchObject({ escape: "\\", syntax: "a/b:1" });
    expect(parse("# check = skip=all\n#escape=`\nFROM a\n").directives).toMatchObject({
      escape: "`",
      check: "skip=all",
    });
    expect(parse("# a comment\n# escape=`\nFROM a\n").directives).toEqual({ escape: "\\" });
  });

  test("a directive knows its place", () => {
    const { directives } = parse("#syntax=a/b\n# CHECK = skip=all \nFROM a\n");
    expect(directives.syntaxLocation).toMatchObject({ line: 1, column: 1, length: 11 });
    expect(directives).toMatchObject({ check: "skip=all", checkLocation: { line: 2, column: 1 } });
  });

  test("a blank line inside a continued instruction is told by that instruction's last line", () => {
    const linter = new Linter();
    const text = "FROM a\nRUN a \\\n\n \n  b \\\n c\nRUN d \\\n# e\n f\n";
    parseDockerfile(text, { file: "Dockerfile", observer: linter });
    expect(linter.warnings.map(({ code, location }) => [code, location.line])).toEqual([
      ["NoEmptyContinuation", 6],
    ]);
  });

  test("ARG belongs to the file before the first FROM and to the stage behind it", () => {
    const { globalArgs, stages } = parse("ARG A\nARG B=1 C\nFROM a AS One\nARG D\nFROM one\n");
    expect(globalArgs.flatMap(({ args }) => args.map(({ name }) => name))).toEqual(["A", "B", "C"]);
    expect(stages.map(({ name, instructions }) => [name, instructions.length])).toEqual([
      ["one", 1],
      [undefined, 0],
    ]);
  });

  test("lines are kept for excerpts, without their ends", () => {
    expect(parse("\uFEFFFROM a\r\nRUN b\n").lines).toEqual(["FROM a", "RUN b"]);
  });
});

describe("comments [1.28]", () => {
  const commentsOf = (text: string): unknown =>
    parse(text).stages.flatMap(({ from, instructions }) =>
      [from, ...instructions].map(({ comments }) => comments?.map((comment) => comment.text)),
    );

  test("belong to the instruction below, across blank lines", () => {
    expect(commentsOf("# one\n\n#two \nFROM a\nRUN b\n# three\nRUN c\n# end\n")).toEqual([
      ["one", "two"],
      undefined,
      ["three"],
    ]);
  });

  test("start anew behind a bare #, and keep the # when they are indented", () => {
    expect(commentsOf("FROM a\n# one\n#\n# two\n  # three\nRUN b\n")).toEqual([
      undefined,
      ["two", "# three"],
    ]);
  });

  test("are neither directives nor lines of a continuation or a heredoc", () => {
    const text = "# syntax=a/b\n# note\nFROM a\nRUN b \\\n# c\n d\nCOPY <<E /x\n# f\nE\nRUN g\n";
    expect(commentsOf(text)).toEqual([["note"], undefined, undefined, undefined]);
    expect(commentsOf("#!/x\n# escape=`\nFROM a\n")).toEqual([["!/x", "escape=`"]]);
  });

  test("know their place", () => {
    const [stage] = parse("FROM a\n\n# one\nRUN b\n").stages;
    expect(stage?.instructions[0]?.comments?.[0]?.location).toMatchObject({ line: 3, column: 1 });
  });
});

describe("a single instruction", () => {
  const location = { file: "Dockerfile", line: 7, column: 1 };

  test("stands where its FROM stands", () => {
    const run = parseInstruction("RUN <<EOF\nbody\nEOF", { location });
    expect(run).toMatchObject({ keyword: "RUN", location, heredocs: [{ content: "body\n" }] });
  });

  test.each(["FROM a", "RUN a\nRUN b", "# nothing", ""])("%j is none", (text) => {
    expect(() => parseInstruction(text, { location })).toThrow(
      expect.objectContaining({ code: "DOCKERFILE_ONBUILD", location }) as Error,
    );
  });
});

describe("suggestions [1.8]", () => {
  test.each([
    ["CPOY", "COPY"],
    ["wrokdir", "WORKDIR"],
    ["FO", "FROM"],
    ["RNU", "RUN"],
    ["COPYY", "COPY"],
    ["XFROMX", "FROM"],
    ["FROBNICATE", undefined],
    ["x", undefined],
    ["OCYP", undefined],
    ["copy", "COPY"],
    ["COPY", undefined],
  ])("%s means %s", (word, meant) => {
    expect(suggest(word, ["ENV", "COPY", "FROM", "RUN", "WORKDIR"])).toBe(meant);
  });
});
