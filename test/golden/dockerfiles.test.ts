import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { isTsbuildError, parsePlatform, type SourceLocation } from "../../src/core/index.ts";
import { isIgnoredSource, parseIgnoreFile } from "../../src/context/index.ts";
import {
  Linter,
  parseDockerfile,
  type Dockerfile,
  type LintWarning,
} from "../../src/dockerfile/index.ts";
import {
  planBuild,
  refusingForeignSyntax,
  type Entitlement,
  type NamedContext,
  type Plan,
  type PlanOptions,
  type TimedSource,
} from "../../src/plan/index.ts";
import { createFakeBases } from "../support/fake-bases.ts";
import { statementsOfCase } from "../support/statements.ts";

/**
 * One folder a case: `Dockerfile`, optionally `options.json`, and what comes out of it: `ast.json` and `plan.json`, or
 * `error.json`, whose message is recorded because scripts match the texts that spec/dockerfile.md gives. Where options.json
 * has `lint`, what checks find is in `lint.json`; cases named `lint-…` show nothing else. `UPDATE_GOLDEN=1` rewrites the outcomes; the diff is what a review reads.
 */
const root = resolve(import.meta.dirname, "../../fixtures/dockerfiles");
const update = process.env["UPDATE_GOLDEN"] === "1";

interface CaseOptions {
  /** Numbers of the statements in docs/spec/dockerfile.md that the case shows. */
  readonly statements?: readonly string[];
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly platforms?: readonly string[];
  readonly multiPlatform?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: "default" | "none" | "host";
  readonly noCache?: "all" | readonly string[];
  readonly allow?: readonly Entitlement[];
  readonly namedContexts?: Readonly<Record<string, NamedContext>>;
  /** Seconds by URL, or under `context`. */
  readonly times?: Readonly<Record<string, number>>;
  /** Records what checks find; text of the ignore file. */
  readonly lint?: { readonly ignore?: string; readonly allStages?: boolean };
}

const cases = readdirSync(root)
  .sort()
  .map((name) => ({ name, title: titleOf(name) }));

describe.each(cases)("$title", ({ name }) => {
  test("gives the recorded outcome", async () => {
    const outcome = await runCase(join(root, name));
    for (const file of ["ast.json", "plan.json", "error.json", "lint.json"] as const) {
      const path = join(root, name, file);
      const text = outcome[file];
      if (update) {
        if (text !== undefined) writeFileSync(path, text);
        else rmSync(path, { force: true });
      } else expect(existsSync(path) ? readFileSync(path, "utf8") : undefined).toBe(text);
    }
  });
});

/** With the numbers of the statements that it shows: `copy-forms [3.40, 3.49]`. */
function titleOf(name: string): string {
  const statements = statementsOfCase(join(root, name));
  return statements.length === 0 ? name : `${name} [${statements.join(", ")}]`;
}

type Outcome = Partial<Record<"ast.json" | "plan.json" | "error.json" | "lint.json", string>>;

async function runCase(folder: string): Promise<Outcome> {
  const given = readGiven(folder);
  const linter =
    given.lint && new Linter({ override: given.buildArgs?.["BUILDKIT_DOCKERFILE_CHECK"] });
  const outcome = await parseAndPlan(folder, { given, linter });
  if (linter === undefined) return outcome;
  const lint = { "lint.json": format(linter.warnings.map(viewOfWarning)) };
  if (!basename(folder).startsWith("lint-")) return { ...outcome, ...lint };
  const error = outcome["error.json"];
  return error === undefined ? lint : { ...lint, "error.json": error };
}

async function parseAndPlan(
  folder: string,
  { given, linter }: { readonly given: CaseOptions; readonly linter: Linter | undefined },
): Promise<Outcome> {
  try {
    const source = readFileSync(join(folder, "Dockerfile"));
    const options = toPlanOptions(given);
    const observer = refusingForeignSyntax("Dockerfile", { ...options, inner: linter });
    const dockerfile = parseDockerfile(source, { file: "Dockerfile", observer });
    const plan = await planBuild(dockerfile, {
      ...toPlanOptions(given),
      ...(linter === undefined ? {} : { linter }),
    });
    const violation = linter?.violation();
    if (violation !== undefined) throw violation;
    return { "ast.json": format(astOf(dockerfile)), "plan.json": format(viewOf(plan)) };
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const { code, message, location } = error;
    if (/^(?:DOCKERFILE|PLAN)_/.test(code)) expect(error.hint).toBeTruthy();
    return {
      "error.json": format({ code, message, line: location?.line, column: location?.column }),
    };
  }
}

function readGiven(folder: string): CaseOptions {
  const path = join(folder, "options.json");
  return (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {}) as CaseOptions;
}

function toPlanOptions(given: CaseOptions): PlanOptions {
  const ignored = parseIgnoreFile(given.lint?.ignore ?? "", ".dockerignore");
  const { target, labels, network } = given;
  return {
    buildArgs: new Map(Object.entries(given.buildArgs ?? {})),
    platforms: (given.platforms ?? ["linux/amd64"]).map(parsePlatform),
    platformsRequested: given.platforms !== undefined,
    ...(given.multiPlatform === undefined ? {} : { multiPlatform: given.multiPlatform }),
    buildPlatform: { os: "linux", architecture: "amd64" },
    resolveBase: resolveFake,
    namedContexts: new Map(Object.entries(given.namedContexts ?? {})),
    resolveTime: (source) => Promise.resolve(given.times?.[keyOfSource(source)]),
    ...(target === undefined ? {} : { target }),
    ...(labels === undefined ? {} : { labels }),
    ...(network === undefined ? {} : { network }),
    ...(given.noCache === undefined ? {} : { noCache: given.noCache }),
    entitlements: new Set(given.allow),
    allStages: given.lint?.allStages ?? false,
    isIgnored: (source) => isIgnoredSource(ignored, source),
  };
}

/** An image of a layout is the fake one whose name the layout's folder and tag make. */
const resolveFake: PlanOptions["resolveBase"] = async (reference, platform, location, layout) => {
  const { resolveBase } = createFakeBases();
  if (layout === undefined) return resolveBase(reference, platform, location);
  const name = `docker.io/library/${layout.path.slice(1)}:${layout.tag ?? "latest"}`;
  return { ...(await resolveBase(name, platform, location)), reference };
};

function keyOfSource(source: TimedSource): string {
  if (source.type === "context") return "context";
  return source.type === "git" ? source.remote : source.url;
}

function astOf({ directives, globalArgs, stages }: Dockerfile): unknown {
  return { directives, globalArgs, stages };
}

function viewOfWarning({ code, message, hint, location }: LintWarning): unknown {
  return { code, location, message, hint };
}

/** Warnings by code and place: their prose is free to change. */
function viewOf({ vertices, targets, sourceDateEpoch, warnings }: Plan): unknown {
  return {
    vertices,
    targets,
    sourceDateEpoch,
    warnings: warnings.map(({ code, location }) => ({ code, location })),
  };
}

function format(value: unknown): string {
  const text = JSON.stringify(
    value,
    (key, member: unknown) =>
      /^(?:\w+L|l)ocation$/.test(key) ? shortLocation(member as SourceLocation) : member,
    2,
  );
  return `${text}\n`;
}

/** `line:column+length`, and the last line when there are several. */
function shortLocation({ line, column, length, endLine }: SourceLocation): string {
  const end = endLine === undefined || endLine === line ? "" : `-${String(endLine)}`;
  return `${String(line)}:${String(column)}+${String(length ?? 0)}${end}`;
}
