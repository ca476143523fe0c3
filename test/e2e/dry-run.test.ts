import { lstat, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ForecastDocument } from "../../src/api/index.ts";
import { foretoldSteps, isForetold } from "../support/foretold-steps.ts";
import { startLocalServer } from "../support/local-server.ts";
import { instructionSteps } from "../support/setup-progress.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli } = workspace;

const dockerfile = `FROM BUSYBOX AS build
ARG VERSION=1
WORKDIR /src
COPY package.json ./
RUN cat package.json >/installed
COPY src/ ./src/
RUN cat src/* >/out
FROM BUSYBOX
COPY --from=build /out /app
RUN cat /app
`;

async function project(): Promise<string> {
  return context({
    Dockerfile: dockerfile,
    "package.json": "{}",
    "src/a.js": "a\n",
    "src/b.js": "b\n",
  });
}

/** Everything below a root that a look could change, with the times of what it says of its last use. */
async function stateOf(root: string): Promise<readonly string[]> {
  const names = (await readdir(root, { recursive: true })).filter(
    (name) => !/^(?:tmp|code)\b/.test(name),
  );
  const lines = names.map(async (name) => {
    const { mtimeMs, size } = await lstat(join(root, name));
    return `${name} ${String(size)} ${String(mtimeMs)}`;
  });
  return (await Promise.all(lines)).sort();
}

async function forecast(
  root: string,
  folder: string,
  ...flags: readonly string[]
): Promise<ForecastDocument> {
  const args = ["build", "--dry-run", "--format", "json", ...flags, folder];
  return JSON.parse((await expectCli(args, { root })).stdout) as ForecastDocument;
}

async function exitCode(root: string, folder: string): Promise<number> {
  const { code } = await workspace.cli(["build", "--dry-run", "--exit-code", folder], { root });
  return code;
}

test("an empty machine is told what would run, and stays empty", async () => {
  const root = await workspace.freshRoot();
  const folder = await project();
  // What opening a root makes.
  await expectCli(["images"], { root });
  const before = await stateOf(root);
  const { wouldRun, steps, estimate } = await forecast(root, folder, "-t", "dry:1");
  expect(wouldRun).toBe(true);
  expect(steps.map(({ outcome }) => outcome)).toEqual([
    ...["pull", "run", "depends", "depends", "depends", "depends", "depends", "depends"],
  ]);
  expect(estimate).toEqual({ atLeastMs: 0, atMostMs: 0, unknown: 7 });
  expect(steps.at(1)?.why).toBe("first time");
  expect(await stateOf(root)).toEqual(before);
  expect(await exitCode(root, folder)).toBe(3);
});

test("what was told is what happens, before and after each change", async () => {
  const root = await workspace.freshRoot();
  const folder = await project();
  const changes: readonly (() => Promise<readonly string[]>)[] = [
    () => Promise.resolve([]),
    () => Promise.resolve([]),
    async () => {
      await writeFile(join(folder, "src/a.js"), "other\n");
      return [];
    },
    async () => {
      await utimes(join(folder, "src/b.js"), 1, 1);
      return [];
    },
    () => Promise.resolve(["--build-arg", "VERSION=2"]),
    () => Promise.resolve(["--no-cache-filter", "build"]),
  ];
  const told: string[] = [];
  for (const change of changes) {
    const flags = [...(await change()), "-t", "dry:2", folder];
    const { stdout } = await expectCli(["build", "--dry-run", "--format", "json", ...flags], {
      root,
    });
    const { stderr } = await expectCli(["--progress", "rawjson", ...flags], { root });
    const steps = foretoldSteps(stdout);
    const happened = instructionSteps(stderr);
    expect(steps.filter((step) => !isForetold(step, happened))).toEqual([]);
    told.push(steps.map(({ outcome }) => outcome[0]).join(""));
  }
  expect(told).toEqual(["rdddddd", "ccccccc", "cccrddd", "ccccccc", "ccrdddd", "crrrrdd"]);
});

test("a look at a cached build changes nothing, not even the time of a last use", async () => {
  const root = await workspace.freshRoot();
  const folder = await project();
  await expectCli(["-t", "dry:3", folder], { root });
  const cache = join(root, "cache");
  for (const name of await readdir(cache)) await utimes(join(cache, name), 1e9, 1e9);
  const before = await stateOf(root);
  const { wouldRun, steps } = await forecast(root, folder, "-t", "dry:3");
  expect(wouldRun).toBe(false);
  expect(new Set(steps.map(({ outcome }) => outcome))).toEqual(new Set(["cached"]));
  await expectCli(["explain", folder], { root });
  expect(await exitCode(root, folder)).toBe(0);
  expect(await stateOf(root)).toEqual(before);
});

test("the text tells every step, why it would run, and how long that takes", async () => {
  const root = await workspace.freshRoot();
  const folder = await project();
  await expectCli(["-t", "dry:4", folder], { root });
  const cached = await expectCli(["build", "--dry-run", folder], { root });
  expect(cached.stdout).toContain("All steps are cached: nothing would run.\n");
  await writeFile(join(folder, "package.json"), "{1}");
  const { stdout } = await expectCli(["build", "--dry-run", folder], { root });
  const shown = stdout
    .replaceAll(workspace.busybox, "BASE")
    .replaceAll(/\d+\.\ds/g, "N.Ns")
    // Both ends may come out the same.
    .replace("N.Ns to N.Ns", "N.Ns");
  expect(shown).toMatchInlineSnapshot(`
    "cached           [build 1/6] FROM BASE
    cached           [build 2/6] WORKDIR /src
    run        N.Ns  [build 3/6] COPY package.json ./
                     why: package.json: content changed
    depends    N.Ns  [build 4/6] RUN cat package.json >/installed
                     why: package.json: content changed; by [build 3/6] COPY package.json ./
                     on: [build 3/6] COPY package.json ./
    depends    N.Ns  [build 5/6] COPY src/ ./src/
                     why: package.json: content changed; by [build 3/6] COPY package.json ./
                     on: [build 4/6] RUN cat package.json >/installed
    depends    N.Ns  [build 6/6] RUN cat src/* >/out
                     why: package.json: content changed; by [build 3/6] COPY package.json ./
                     on: [build 5/6] COPY src/ ./src/
    depends    N.Ns  [stage-1 2/3] COPY --from=build /out /app
                     why: package.json: content changed; by [build 3/6] COPY package.json ./
                     on: [build 6/6] RUN cat src/* >/out
    depends    N.Ns  [stage-1 3/3] RUN cat /app
                     why: package.json: content changed; by [build 3/6] COPY package.json ./
                     on: [stage-1 2/3] COPY --from=build /out /app
    1 of 7 steps would run, 5 may, which depends on what comes first: N.Ns, as long as they took the last time.
    "
  `);
  const explained = await expectCli(["explain", "-t", "dry:4", folder], { root });
  expect(explained.stdout.replaceAll(workspace.busybox, "BASE")).toMatchInlineSnapshot(`
    "[build 1/6] FROM BASE: cached
    [build 2/6] WORKDIR /src: cached
    [build 3/6] COPY package.json ./: package.json: content changed
    [build 4/6] RUN cat package.json >/installed: package.json: content changed; by [build 3/6] COPY package.json ./
        depends on what comes out of [build 3/6] COPY package.json ./
    [build 5/6] COPY src/ ./src/: package.json: content changed; by [build 3/6] COPY package.json ./
        depends on what comes out of [build 4/6] RUN cat package.json >/installed
    [build 6/6] RUN cat src/* >/out: package.json: content changed; by [build 3/6] COPY package.json ./
        depends on what comes out of [build 5/6] COPY src/ ./src/
    [stage-1 2/3] COPY --from=build /out /app: package.json: content changed; by [build 3/6] COPY package.json ./
        depends on what comes out of [build 6/6] RUN cat src/* >/out
    [stage-1 3/3] RUN cat /app: package.json: content changed; by [build 3/6] COPY package.json ./
        depends on what comes out of [stage-1 2/3] COPY --from=build /out /app
    "
  `);
});

test("explain tells several differences, and no value of a variable", async () => {
  const root = await workspace.freshRoot();
  const folder = await project();
  await expectCli(["-t", "dry:5", "--build-arg", "VERSION=geheim", folder], { root });
  for (let number = 0; number < 12; number += 1)
    await writeFile(join(folder, `src/${String(number)}.js`), "");
  await writeFile(
    join(folder, "Dockerfile"),
    (await readFile(join(folder, "Dockerfile"), "utf8")).replace("cat src/*", "cat src/*.js"),
  );
  const flags = ["--build-arg", "VERSION=streng"];
  const { stdout } = await expectCli(["explain", ...flags, folder], { root });
  expect(stdout).toContain("12 of 15 files differ");
  expect(stdout).toContain("    src/0.js: added\n");
  expect(stdout).toContain("    and 2 other files\n");
  expect(stdout).toMatch(
    /RUN cat src\/\*\.js >\/out: instruction changed.*\n +ARG or ENV VERSION changed/,
  );
  const json = await expectCli(["explain", "--format", "json", ...flags, folder], { root });
  expect(json.stdout + stdout).not.toMatch(/geheim|streng/);
});

test("what was pruned is told as evicted, not as new", async () => {
  const root = await workspace.freshRoot();
  const folder = await project();
  await expectCli(["-t", "dry:6", folder], { root });
  for (const flags of [
    ["builder", "prune", "--all"],
    ["system", "prune", "--all"],
  ]) {
    await expectCli(flags, { root });
    const { steps } = await forecast(root, folder);
    expect(steps.find(({ outcome }) => outcome === "run")?.why).toMatch(/^evicted/);
  }
  await writeFile(join(folder, "package.json"), "{1}");
  const { steps } = await forecast(root, folder);
  expect(steps.map(({ why = "" }) => why)).toContainEqual(
    expect.stringContaining("not kept any more"),
  );
});

test("the file behind a URL is asked for, and not downloaded", async () => {
  const root = await workspace.freshRoot();
  let version = "1";
  const { origin, requests } = await startLocalServer((request, response) => {
    response.setHeader("etag", `"${version}"`);
    response.end(request.method === "HEAD" ? undefined : `version ${version}`);
  });
  const folder = await context({ Dockerfile: `FROM BUSYBOX\nADD ${origin}/file /file\n` });
  const outcome = async (): Promise<string | undefined> =>
    (await forecast(root, folder)).steps.at(-1)?.outcome;
  expect(await outcome()).toBe("depends");
  expect(requests).not.toContain("GET /file");
  await expectCli(["-t", "url:1", folder], { root });
  expect(await outcome()).toBe("cached");
  version = "2";
  const { steps } = await forecast(root, folder);
  expect(steps.at(-1)).toMatchObject({ outcome: "depends" });
  expect(steps.at(-1)?.why).toMatch(/^nobody knows before .* is fetched$/);
  expect(requests.filter((each) => each === "GET /file")).toHaveLength(1);
});

test("what keeps a build from beginning fails the same way", async () => {
  const root = await workspace.freshRoot();
  const missing = await context({ Dockerfile: "FROM BUSYBOX\nCOPY nothing /\n" });
  const failed = await workspace.cli(["build", "--dry-run", "--exit-code", missing], { root });
  expect(errorCode(failed)).toBe("CONTEXT_SOURCE_NOT_FOUND");
  expect(failed.code).toBe(1);
  const alone = await workspace.cli(["build", "--exit-code", missing], { root });
  expect(errorCode(alone)).toBe("USAGE");
  expect(alone.code).toBe(2);
});

test("a build without any step is told, too", async () => {
  const folder = await context({ Dockerfile: "FROM scratch\n" });
  const told = await expectCli(["build", "--dry-run", "--exit-code", folder]);
  expect(told.stdout).toBe("There are no steps: nothing would run.\n");
  expect((await expectCli(["explain", folder])).stdout).toBe("");
  expect((await expectCli(["graph", folder])).stdout).toContain("</svg>");
});
