import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parsePlatform } from "../../src/core/index.ts";
import { serializeImageConfig } from "../../src/image/index.ts";
import { createFakeBases, fakeBaseNames } from "../support/fake-bases.ts";
import { makeHollowArchive } from "./bases.ts";
import { chooseEngine } from "./engines/choose.ts";
import type { Engine } from "./engines/engine.ts";

// What is recorded of the golden Dockerfiles, against what the reference says of them without building them.
const goldens = resolve(import.meta.dirname, "../../fixtures/dockerfiles");
const choice = chooseEngine(process.env);
const canCheck = !("missing" in choice) && choice.engine === "buildkit";
const cases = canCheck ? readdirSync(goldens).map((name) => readGolden(name)) : [];
let folder = "";
let engine: Engine | undefined;

/** Where checks of the reference are no judge of what is recorded. */
const excuses: Readonly<Record<string, string>> = {
  "copy-heredoc-before-quotes":
    "checks look at every stage, also at a broken one that nobody needs",
  "error-add-git-checksum": "only a build of the reference refuses it",
  "error-copy-link-named-owner": "only a build of the reference refuses it",
  "error-network-host-not-allowed": "only a build of the reference refuses it",
  "error-run-empty-vector": "only a build of the reference refuses it",
  "error-security-not-allowed": "only a build of the reference refuses it",
  "lint-base-image-platform-skipped-line": "the reference skips this rule for whole files only",
  "lint-check-build-arg-invalid": "there it is an error without a result of the checks",
  "lint-instruction-casing-skipped-line": "the reference skips this rule for whole files only",
  "lint-undefined-var-of-unreachable-stage":
    "checks look at every stage, what is recorded does not",
  "lint-platform-constant-in-name": "the bases are there for one platform",
  "onbuild-adds-stages": "checks look at every stage, also at one without a base that nobody needs",
};

beforeAll(async () => {
  if (!canCheck) return;
  folder = await mkdtemp(join(tmpdir(), "tsbuild-checks-"));
  engine = await choice.open(await mkdtemp(join(folder, "engine-")));
  for (const name of fakeBaseNames) await engine.load(await writeFakeBase(name));
});

afterAll(async () => {
  await engine?.close();
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

test.skipIf(canCheck)("the same findings as the reference's", ({ skip }) => {
  skip("missing" in choice ? choice.missing : `${choice.engine} has no checks; BuildKit has`);
});

describe.runIf(canCheck).concurrent("the same findings as the reference's", () => {
  test.for(cases)("$name", async (golden, { skip }) => {
    if (engine?.check === undefined) return skip("no engine that checks without building");
    const reason = excuses[golden.name] ?? whyNotAsked(golden);
    if (reason !== undefined) return skip(reason);
    const work = await mkdtemp(join(folder, `${golden.name}-`));
    await cp(join(golden.folder, "Dockerfile"), join(work, "Dockerfile"));
    const { ignore } = golden.options.lint ?? {};
    if (ignore !== undefined) await writeFile(join(work, ".dockerignore"), ignore);
    const told = await engine.check({ folder: work, context: ".", flags: flagsOf(golden) });
    // What is told besides stands around the document.
    const [document = told] = /^\{[^]*^\}/m.exec(told) ?? [];
    const { warnings, buildError } = JSON.parse(document) as CheckResult;
    expect(buildError?.message ?? "accepted").toEqual(
      golden.refused ? expect.not.stringMatching(/^accepted$/) : "accepted",
    );
    if (golden.lint === undefined) return;
    const ours = golden.lint.filter(({ code }) => !code.startsWith("Tsbuild/")).map(tellRecorded);
    expect(ours.sort()).toEqual((warnings ?? []).map(tellFound).sort());
  });
});

interface Golden {
  readonly name: string;
  readonly folder: string;
  readonly text: string;
  readonly options: {
    readonly target?: string;
    readonly buildArgs?: Readonly<Record<string, string>>;
    readonly platforms?: readonly string[];
    readonly namedContexts?: object;
    readonly lint?: { readonly ignore?: string };
  };
  readonly refused: boolean;
  readonly lint: readonly Recorded[] | undefined;
}

/** A warning in `lint.json`; the place is `line:column+length`, and `-endLine` where there are several lines. */
interface Recorded {
  readonly code: string;
  readonly location: string;
  readonly message: string;
}

interface CheckResult {
  readonly warnings: readonly Found[] | null;
  readonly buildError?: { readonly message: string };
}

interface Found {
  readonly ruleName: string;
  readonly detail: string;
  readonly location: {
    readonly ranges: readonly {
      readonly start: { readonly line: number };
      readonly end: { readonly line: number };
    }[];
  };
}

function readGolden(name: string): Golden {
  const at = join(goldens, name);
  const read = (file: string): unknown =>
    existsSync(join(at, file)) ? JSON.parse(readFileSync(join(at, file), "utf8")) : undefined;
  return {
    name,
    folder: at,
    text: readFileSync(join(at, "Dockerfile"), "utf8"),
    options: read("options.json") ?? {},
    refused: existsSync(join(at, "error.json")),
    lint: read("lint.json") as readonly Recorded[] | undefined,
  };
}

function whyNotAsked({ text, options }: Golden): string | undefined {
  const syntaxArg = options.buildArgs?.["BUILDKIT_SYNTAX"];
  if (syntaxArg !== undefined || /^(?:#|\/\/)\s*syntax\s*=|^\{/im.test(text))
    return "it asks for another frontend";
  if (options.platforms !== undefined) return "the bases are there for one platform";
  if (options.namedContexts !== undefined) return "its contexts are made up";
  const isElsewhere =
    /https?:\/\//.test(text) && options.buildArgs?.["SOURCE_DATE_EPOCH"] !== undefined;
  return isElsewhere ? "its server is made up" : undefined;
}

function flagsOf({ options }: Golden): string[] {
  const args = Object.entries(options.buildArgs ?? {});
  return [
    ...args.flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    ...(options.target === undefined ? [] : ["--target", options.target]),
  ];
}

function tellRecorded({ code, location, message }: Recorded): string {
  const [, line = "", last = line] = /^(\d+):\d+\+\d+(?:-(\d+))?$/.exec(location) ?? [];
  return `${line}-${last} ${code}: ${message}`;
}

function tellFound({ ruleName, detail, location: { ranges } }: Found): string {
  return `${String(ranges[0]?.start.line)}-${String(ranges.at(-1)?.end.line)} ${ruleName}: ${detail}`;
}

async function writeFakeBase(name: string): Promise<string> {
  const reference = `docker.io/library/${name}`;
  const location = { file: "Dockerfile", line: 1, column: 1 };
  const platform = parsePlatform("linux/amd64");
  const { config } = await createFakeBases().resolveBase(reference, platform, location);
  const archive = join(folder, `${name}.tar`);
  const json = JSON.parse(serializeImageConfig(config).toString()) as object;
  await writeFile(archive, makeHollowArchive(reference, json));
  return archive;
}
