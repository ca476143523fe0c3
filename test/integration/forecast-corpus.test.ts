import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import { isTsbuildError, parsePlatform } from "../../src/core/index.ts";
import type { Plan, PlanOptions } from "../../src/plan/index.ts";
import {
  openWaitingBuild,
  type BuildHarness,
  type BuildRequest,
} from "../support/build-harness.ts";
import { repository } from "../support/cli.ts";
import { forecastAndBuild } from "../support/compare-forecast.ts";
import { createFakeBases } from "../support/fake-bases.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

vi.setConfig({ testTimeout: 1_200_000 });

/**
 * The Dockerfiles of fixtures/dockerfiles that can be planned: each is foretold and built, then again, and after each kind
 * of change. Commands write what other stages copy; the context has what is copied from it. Every eighth case;
 * TSBUILD_CORPUS says which eighth, from 0 to 7, or `all`.
 */
const root = join(repository, "fixtures/dockerfiles");
const part = process.env["TSBUILD_CORPUS"] ?? "0";
const names = readdirSync(root)
  .filter((name) => !name.startsWith("lint-") && existsSync(join(root, name, "plan.json")))
  .filter((_, index) => part === "all" || index % 8 === Number(part));

interface CaseOptions {
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly platforms?: readonly string[];
  readonly network?: "default" | "none" | "host";
  readonly noCache?: "all" | readonly string[];
  readonly allow?: readonly ("network.host" | "security.insecure")[];
}

/** What a Dockerfile reads: of the context, and of what its own stages have made. */
interface Paths {
  readonly context: readonly string[];
  readonly made: readonly string[];
}

function pathsOf({ vertices }: Plan): Paths {
  const [context, made]: [string[], string[]] = [[], []];
  const note = (input: number | undefined, path: string): void => {
    const op = vertices[input ?? -1]?.op;
    if (op?.type === "context") context.push(path);
    else if (op !== undefined && op.type !== "http" && op.type !== "git") made.push(path);
  };
  for (const { op, inputs } of vertices) {
    if (op.type === "copy")
      for (const source of op.sources)
        if (source.type === "path") note(inputs[source.input], source.pattern);
    if (op.type === "exec")
      for (const mount of op.mounts)
        if ("input" in mount && mount.input !== undefined) note(inputs[mount.input], mount.source);
  }
  const toNames = (patterns: readonly string[]): readonly string[] => {
    const found = patterns.map(nameFor).filter((name) => name !== "");
    // What another one lies below is a folder.
    return found.filter((name) => !found.some((other) => other.startsWith(`${name}/`)));
  };
  return { context: toNames(context), made: toNames(made) };
}

/** A name that a pattern matches; a folder gets a file. */
function nameFor(pattern: string): string {
  const name = pattern
    .replaceAll(/\[\^?(.)[^\]]*\]/g, "$1")
    .replaceAll("**", "x")
    .replaceAll("*", "x")
    .replaceAll("?", "y")
    .replaceAll(/\\(.)/g, "$1")
    .replace(/^\/+/, "");
  return name === "." ? "x" : name.endsWith("/") ? `${name}x` : name.replace(/\/\.$/, "/x");
}

async function requestOf(name: string, harness: BuildHarness): Promise<BuildRequest> {
  const path = join(root, name, "options.json");
  const given = (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {}) as CaseOptions;
  const { target, buildArgs, noCache = [], platforms, network, allow } = given;
  const base = (await harness.plan("FROM base\n")).vertices[0]?.op;
  const image =
    base?.type === "image" ? await harness.environment.images.find(base.imageId) : undefined;
  if (base?.type !== "image" || image === undefined) throw new Error("no base");
  const { diffIds, history } = image.config;
  const planning: Partial<PlanOptions> = {
    // The settings that the case is about, on files that are there.
    resolveBase: async (...wanted) => {
      const found = await createFakeBases().resolveBase(...wanted);
      const { imageId, chainId } = base;
      return { ...found, imageId, chainId, config: { ...found.config, diffIds, history } };
    },
    ...(platforms === undefined ? {} : { platforms: platforms.map(parsePlatform) }),
    ...(network === undefined ? {} : { network }),
    entitlements: new Set(allow),
  };
  return {
    ...(target === undefined ? {} : { target }),
    ...(buildArgs === undefined ? {} : { buildArgs }),
    noCache: noCache === "all" ? true : noCache,
    planning,
  };
}

test("what is foretold of the corpus is what happens", async () => {
  let directory = await temporaryFolder();
  let made: readonly string[] = [];
  const { harness } = await openWaitingBuild({
    answer: (command) => ({ write: Object.fromEntries(made.map((path) => [path, command])) }),
    context: () => openDirectoryContext({ directory }),
  });
  const counts = { compared: 0, failed: new Map<string, number>() };
  for (const name of names) {
    const text = readFileSync(join(root, name, "Dockerfile"), "utf8");
    const request = await requestOf(name, harness);
    const [, argument = "NONE"] = /^\s*ARG\s+(\w+)/im.exec(text) ?? [];
    const changes = { ...request, buildArgs: { ...request.buildArgs, [argument]: "changed" } };
    directory = await mkdtemp(join(await temporaryFolder(), "context-"));
    try {
      const paths = pathsOf(await harness.plan(text, request));
      ({ made } = paths);
      const [first] = await makeFiles(directory, paths.context);
      const builds: readonly (() => Promise<BuildRequest>)[] = [
        () => Promise.resolve(request),
        () => Promise.resolve(request),
        async () => {
          if (first !== undefined) await utimes(first, 1, 1);
          return request;
        },
        async () => {
          if (first !== undefined) await writeFile(first, "changed");
          return changes;
        },
      ];
      for (const prepare of builds) {
        await forecastAndBuild(harness, text, await prepare());
        counts.compared += 1;
      }
    } catch (error) {
      // What cannot be built here (a secret, a URL, an agent) says nothing about forecasts.
      if (!isTsbuildError(error)) throw new Error(`of ${name}`, { cause: error });
      counts.failed.set(error.code, (counts.failed.get(error.code) ?? 0) + 1);
    }
  }
  expect(counts.compared).toBeGreaterThan(names.length * 2.5);
});

async function makeFiles(directory: string, names: readonly string[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, name);
    files.push(path);
  }
  return files;
}
