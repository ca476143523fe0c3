import { describe, expect, test } from "vitest";
import { isTsbuildError, parsePlatform, type TsbuildError } from "../../../src/core/index.ts";
import { parseDockerfile } from "../../../src/dockerfile/index.ts";
import { planBuild } from "../../../src/plan/index.ts";
import { createFakeBases } from "../../support/fake-bases.ts";

async function failureOf(text: string | Uint8Array): Promise<TsbuildError> {
  try {
    await planBuild(parseDockerfile(text, { file: "Dockerfile" }), {
      buildArgs: new Map(),
      platforms: [parsePlatform("linux/amd64")],
      buildPlatform: parsePlatform("linux/amd64"),
      resolveBase: createFakeBases().resolveBase,
    });
  } catch (error) {
    if (isTsbuildError(error)) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

async function expectFailure(
  text: string,
  { message, place }: { readonly message: string; readonly place: string },
): Promise<void> {
  const error = await failureOf(text);
  expect(error.message).toContain(message);
  const { line, column } = error.location ?? { line: 0, column: 0 };
  expect(`${String(line)}:${String(column)}`).toBe(place);
  expect(error.hint).toBeTruthy();
}

describe("the file", () => {
  test.each([
    ["", "the Dockerfile cannot be empty"],
    ["\n \t\n# only this\n", "file with no instructions"],
    ["\uFEFF", "file with no instructions"],
    ["# escape=`\n", "file with no instructions"],
    ["ARG A=1\nARG B\n", "dockerfile contains no stages to build"],
  ])("%j [1.1]", async (text, message) => {
    await expectFailure(text, { message, place: "1:1" });
  });

  test("no bytes at all [1.1]", async () => {
    expect((await failureOf(new Uint8Array())).message).toBe("the Dockerfile cannot be empty");
  });

  test("a line of 65,535 bytes is the longest [1.4]", async () => {
    const most = `RUN ${"é".repeat(32_765)}x`;
    expect(Buffer.byteLength(most)).toBe(65_535);
    expect(parseDockerfile(`FROM a\n${most}\nRUN b`, { file: "D" }).stages).toHaveLength(1);
    for (const line of [`${most}y`, `#${"x".repeat(65_535)}`]) {
      await expectFailure(`FROM a\n${line}\nRUN b`, {
        message: "dockerfile line greater than max allowed size of 65535",
        place: "2:1",
      });
    }
  });

  test("an instruction of several lines may be longer [1.4, 1.26]", () => {
    const text = `FROM a\nRUN ${Array.from({ length: 4 }, () => "x".repeat(60_000)).join("\\\n")}\n`;
    const run = parseDockerfile(text, { file: "D" }).stages[0]?.instructions[0];
    expect(run).toMatchObject({ command: { command: "x".repeat(240_000) } });
  });

  test.each([
    ["# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", "1:1", "1.15"],
    ["#syntax=b\n# escape = \\\\ \nFROM a", "invalid escape token '\\\\'", "2:1", "1.15"],
    [
      "# escape=`\n# escape=\\\nFROM a",
      "only one escape parser directive can be used",
      "2:1",
      "1.14",
    ],
    [
      "# syntax=docker/dockerfile\n  # SYNTAX=b\nFROM a",
      "only one syntax parser directive can be used",
      "2:3",
      "1.14",
    ],
  ])("%j: %s at %s [1.14, 1.15]", async (text, message, place) => {
    await expectFailure(text, { message, place });
  });

  test.each([
    ["RUN a\nFROM b", "no build stage in current context", "1:1"],
    ["ARG A\n\n  ENV A=b\nFROM b", "no build stage in current context", "3:3"],
  ])("%j: %s at %s [1.9]", async (text, message, place) => {
    await expectFailure(text, { message, place });
    expect((await failureOf(text)).message).not.toContain("dockerfile parse error");
  });
});

describe("instructions", () => {
  test.each([
    ["FOO", "dockerfile parse error on line 2: unknown instruction: FOO", "2:1"],
    ["FOO bar", "unknown instruction: FOO", "2:1"],
    [
      "\n  COPPY a b",
      "dockerfile parse error on line 3: unknown instruction: COPPY (did you mean COPY?)",
      "3:3",
    ],
    [
      "RU\\\nNN x",
      "dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)",
      "2:1",
    ],
  ])("%j: %s at %s [1.8, 1.10]", async (line, message, place) => {
    await expectFailure(`FROM a\n${line}\n`, { message, place });
  });

  test("the range of an error covers every line, continuations and bodies included [1.10]", async () => {
    const whole = await failureOf("FROM debian:12\nRUN \\\n --security=insecure \\\n <<A\nx\nA\n");
    expect(whole.location).toMatchObject({ line: 2, endLine: 6 });
    // Where the wrong word is known it is the place; the range is told beside it.
    const word = await failureOf("FROM debian:12\nRUN \\\n --mount=type=nope \\\n <<A\nx\nA\n");
    expect(word.location).toMatchObject({ line: 3, column: 2, length: 17 });
    expect(word.details["lines"]).toEqual([2, 6]);
    const [stage] = parseDockerfile("FROM a\nRUN b \\\n c\n", { file: "D" }).stages;
    expect(stage?.instructions[0]?.location).toMatchObject({ line: 2, endLine: 3 });
  });

  test.each([
    ["RUN --x a", "unknown flag: --x", "2:5"],
    ["RUN --x=y a", "unknown flag: --x", "2:5"],
    ["COPY --frm=b c d", "unknown flag: --frm (did you mean from?)", "2:6"],
    ["COPY --chown b c", "missing a value on flag: --chown", "2:6"],
    ["COPY --link --from b", "requires at least two arguments", "2:1"],
    ["COPY --from=b --from=c d e", "duplicate flag specified: --from", "2:15"],
  ])("%j: %s at %s [1.31]", async (line, message, place) => {
    await expectFailure(`FROM a\n${line}\n`, { message, place });
  });

  test.each([
    ["COPY --link= b c", "missing a value on flag: --link", "2:6"],
    ["COPY --parents=yes b c", "expecting boolean value for flag --parents, not: yes", "2:6"],
    ["ADD --unpack=0 b c", "expecting boolean value for flag --unpack, not: 0", "2:5"],
  ])("%j: %s at %s [1.30]", async (line, message, place) => {
    await expectFailure(`FROM a\n${line}\n`, { message, place });
  });

  test.each(
    'ENV a=b|LABEL a=b|CMD a|ENTRYPOINT a|USER a|WORKDIR a|VOLUME a|EXPOSE 1|SHELL ["a"]|ONBUILD RUN a|MAINTAINER a'.split(
      "|",
    ),
  )("%s takes no flags [1.33]", async (line) => {
    const [keyword = "", ...rest] = line.split(" ");
    await expectFailure(`FROM a\n${keyword} --foo ${rest.join(" ")}\n`, {
      message: "unknown flag: --foo",
      place: `2:${String(keyword.length + 2)}`,
    });
  });

  test.each([
    'RUN ["a", 1]',
    "CMD [null]",
    'ENTRYPOINT [["a"]]',
    "SHELL [{}]",
    "HEALTHCHECK CMD [true]",
    "ADD [1, 2]",
    'COPY ["a", 1.5]',
    "VOLUME [false]",
    "ONBUILD RUN [1]",
    "ONBUILD HEALTHCHECK CMD [1]",
  ])("%s holds more than strings [1.36]", async (line) => {
    await expectFailure(`FROM a\n${line}\n`, {
      message: "arrays must be comprised of strings only",
      place: `2:${String(line.indexOf("[") + 1)}`,
    });
  });

  test.each([
    ["RUN cat <<EOF\nx\n EOF\n", "unterminated heredoc", "2:9"],
    ["COPY a <<-'E F' <<B /x\nE F\n", "unterminated heredoc", "2:17"],
    ["ONBUILD ADD \\\n <<EOF /x\n", "unterminated heredoc", "3:2"],
    ["COPY a <<EOF\nEOF\n", "COPY cannot accept a heredoc as a destination", "2:8"],
    ["ADD <<A <<B\nA\nB\n", "ADD cannot accept a heredoc as a destination", "2:9"],
  ])("%j: %s at %s [1.46]", async (line, message, place) => {
    await expectFailure(`FROM a\n${line}`, { message, place });
  });
});

describe("expansion", () => {
  test.each([
    ["ENV a=${NAME:?msg}", "NAME: msg", "2:7", "2.6"],
    ["ENV a=${NAME?}", "NAME: is not allowed to be unset", "2:7", "2.6"],
    ["ARG E=\nUSER a${E:?}", "E: is not allowed to be empty", "3:7", "2.6"],
    ['ENV a="b ${E:?$PATH}"', "E: /usr/local/sbin", "2:10", "2.6"],
  ])("%j: %s at %s [2.6]", async (line, message, place) => {
    await expectFailure(`FROM debian:12\n${line}\n`, { message, place });
  });

  test.each([
    ["${v:=w}", "unsupported modifier (:=) in substitution"],
    ["${v:#p}", "unsupported modifier (:#) in substitution"],
    ["${v:Y}", "unsupported modifier (:Y) in substitution"],
    ["${v=w}", "unsupported modifier (=) in substitution"],
    ["${.}", "unsupported modifier (.) in substitution"],
    ["${}", "bad substitution"],
    ["${:x}", "bad substitution"],
    ["${{x}", "bad substitution"],
    ["${", "missing '}'"],
    ["${v", "missing '}'"],
    ["${v:-w", "missing '}'"],
    ['${v:-"w}', "missing '}'"],
    ["${v:-${w:-}", "missing '}'"],
    ["${v/w}", "missing '/'"],
    ["${v/w/x", "missing '}'"],
  ])("%s: %s [2.8]", async (word, message) => {
    await expectFailure(`FROM debian:12\nWORKDIR /a/${word}\n`, { message, place: "2:12" });
  });

  test.each([
    ["WORKDIR /it's", "looking for matching single-quote", "2:12"],
    ["USER a\"b'", "looking for matching double-quote", "2:7"],
    ['COPY "a b" /x', "looking for matching double-quote", "2:6"],
    ["LABEL a=b \\\n  'c=d", "looking for matching single-quote", "3:3"],
  ])("%j: %s at %s [2.10]", async (line, message, place) => {
    const text = `unexpected end of statement while ${message}`;
    await expectFailure(`FROM debian:12\n${line}\n`, { message: text, place });
  });

  test.each([
    ["COPY --from=$A b c", "variable expansion is not supported for --from"],
    [
      "RUN --mount=type=bind,from=$A,target=/x b",
      "'from' doesn't support variable expansion, define alias stage instead",
    ],
  ])("%s: %s [2.2]", async (line, message) => {
    expect((await failureOf(`FROM debian:12\n${line}\n`)).message).toContain(message);
  });
});
