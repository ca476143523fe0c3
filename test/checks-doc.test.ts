import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { Linter, lintRules, parseDockerfile, type LintRule } from "../src/dockerfile/index.ts";
import { planBuild } from "../src/plan/index.ts";
import { createFakeBases } from "./support/fake-bases.ts";

const path = resolve(import.meta.dirname, "../docs/checks.md");

test("docs/checks.md is what the rules declare; UPDATE_GOLDEN=1 rewrites it", () => {
  const text = describeRules();
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("every rule has a name and a description of its own", () => {
  expect(new Set(lintRules.map(({ name }) => name)).size).toBe(lintRules.length);
  expect(new Set(lintRules.map(({ description }) => description)).size).toBe(lintRules.length);
});

/** Their examples speak of a file beside the Dockerfile, or of an image that is made for one platform only. */
const notOfTextAlone = ["CopyIgnoredFile", "InvalidBaseImagePlatform"];

describe.each(lintRules.filter(({ name }) => !notOfTextAlone.includes(name)))(
  "the example of $name",
  (rule) => {
    test("is reported as it is, and no longer when it is written better", async () => {
      expect(await namesFoundIn(rule, rule.example.bad)).toContain(rule.name);
      expect(await namesFoundIn(rule, rule.example.good)).not.toContain(rule.name);
    });
  },
);

async function namesFoundIn(rule: LintRule, example: string): Promise<readonly string[]> {
  const linter = new Linter({ override: `experimental=${rule.name}` });
  const text = /^(?:ARG [^\n]*\n)*(?:# [^\n]*\n)*FROM/i.test(example)
    ? example
    : `FROM debian:12\n${example}`;
  try {
    const dockerfile = parseDockerfile(`${text}\n`, { file: "Dockerfile", observer: linter });
    await planBuild(dockerfile, {
      buildArgs: new Map(),
      platforms: [{ os: "linux", architecture: "amd64" }],
      buildPlatform: { os: "linux", architecture: "amd64" },
      resolveBase: createFakeBases().resolveBase,
      allStages: true,
      linter,
    });
  } catch {
    // Some bad examples cannot be built at all; what was found before counts.
  }
  return linter.warnings.map(({ code }) => code);
}

function describeRules(): string {
  const own = lintRules.filter(({ name }) => name.startsWith("Tsbuild/"));
  const known = lintRules.filter((rule) => !own.includes(rule));
  return [
    "# Checks",
    "Written by `test/checks-doc.test.ts` from the declarations in `src/dockerfile/lint/rules/`; do not edit.",
    usage,
    "## Rules of BuildKit",
    "They have BuildKit's names and messages, and report what BuildKit reports.",
    tableOf(known),
    ...known.map(describeRule),
    "## Rules of tsbuild",
    "Advice that BuildKit does not give. A finding shows in builds and makes `--check` end with 1 like any other, but\n" +
      "`error=true` leaves it out: a Dockerfile that BuildKit builds is built here too. The experimental ones are good\n" +
      "practice that not every Dockerfile needs.",
    tableOf(own),
    ...own.map(describeRule),
  ]
    .join("\n\n")
    .concat("\n");
}

const usage = `\`tsbuild --check .\` looks for mistakes without building: in all stages, or in those that \`--target\` reaches. It ends with 1
when it finds any. \`--call=check,format=json\` prints the findings as BuildKit does. An ordinary build tells its findings at
the end and goes on.

A base image is looked up, because what a variable means may depend on it. When its registry does not answer, the rules
that depend on it are left out for the stages on it, and a warning says so; an image that the registry does not have is an
error, as in a build.

The check directive in the first lines of the Dockerfile chooses rules; no blank may stand in it:

    # check=skip=JSONArgsRecommended,StageNameCasing;error=true
    # check=experimental=all

\`skip\` turns rules off, \`experimental\` turns on those that are off by default, both by name or with \`all\`; \`error=true\`
makes findings of BuildKit's rules fail the build. The build argument \`BUILDKIT_DOCKERFILE_CHECK\` replaces the directive. In
the comments right above an instruction, \`# check=skip=…\` holds for this instruction alone; what follows a blank explains it:

    # check=skip=SecretsUsedInArgOrEnv // the public half
    ENV SIGNING_KEY=ed25519:abc`;

function tableOf(rules: readonly LintRule[]): string {
  return [
    "| rule | what is expected |",
    "| --- | --- |",
    ...rules.map(
      ({ name, description, experimental = false }) =>
        `| [${name}](#${name.toLowerCase().replace("/", "")})${experimental ? " (experimental)" : ""} | ${description} |`,
    ),
  ].join("\n");
}

function describeRule({ name, description, url, experimental = false, example }: LintRule): string {
  const more = url === undefined ? "" : ` [More](${url}).`;
  const off = experimental ? " Experimental: off unless asked for." : "";
  return [
    `### ${name}`,
    `${description}.${off}${more}`,
    "Instead of",
    indent(example.bad),
    "write",
    indent(example.good),
  ].join("\n\n");
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : `    ${line}`))
    .join("\n");
}
