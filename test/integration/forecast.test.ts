import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Forecast } from "../../src/build/index.ts";
import { openDirectoryContext } from "../../src/context/index.ts";
import { openWaitingBuild, type BuildRequest } from "../support/build-harness.ts";
import { describeForecast, forecastAndBuild } from "../support/compare-forecast.ts";
import { dockerfile, openExplainedBuild } from "../support/explained-build.ts";
import { pseudoRandom } from "../support/random.ts";
import { makeContext } from "../support/setup-context.ts";

function outcomesOf({ steps }: Forecast): readonly string[] {
  return steps.filter(({ type }) => type === "step").map(({ outcome }) => outcome);
}

test("everything runs the first time, and nothing the second", async () => {
  const { harness } = await openExplainedBuild();
  const first = await forecastAndBuild(harness, dockerfile);
  expect(describeForecast(first.forecast)).toMatchSnapshot();
  expect(first.forecast.estimate).toMatchObject({ atMostMs: 0, unknown: 6 });
  const second = await forecastAndBuild(harness, dockerfile);
  expect(new Set(outcomesOf(second.forecast))).toEqual(new Set(["cached"]));
  expect(second.forecast.estimate).toEqual({ atLeastMs: 0, atMostMs: 0, unknown: 0 });
});

test("times alone change nothing", async () => {
  const { directory, harness } = await openExplainedBuild();
  await harness.build(dockerfile);
  await utimes(join(directory, "src/a.ts"), 1, 1);
  const { forecast } = await forecastAndBuild(harness, dockerfile);
  expect(new Set(outcomesOf(forecast))).toEqual(new Set(["cached"]));
});

test("what is not needed is told as such, and what stands on it as cached", async () => {
  const { harness } = await openExplainedBuild();
  const { steps } = await harness.build(dockerfile);
  for (const { name, key, content } of steps) {
    if (!name.includes("install")) continue;
    for (const each of [key, content ?? key]) await harness.environment.cache.remove(each);
  }
  const { forecast } = await forecastAndBuild(harness, dockerfile);
  expect(outcomesOf(forecast)).toEqual([
    "cached",
    "skipped",
    "cached",
    "cached",
    "cached",
    "cached",
  ]);
});

test("what the cache knows by content alone is found where nothing has to run for it", async () => {
  const { harness } = await openWaitingBuild({ answer: () => ({ write: { made: "it" } }) });
  await harness.build("FROM base\nRUN one\nRUN three\n");
  // Both make the same: what follows has another definition and the same content.
  await harness.build("FROM base\nRUN two\n");
  const { forecast } = await forecastAndBuild(harness, "FROM base\nRUN two\nRUN three\n");
  expect(outcomesOf(forecast)).toEqual(["cached", "cached"]);
});

test("a step that runs again may leave what follows as it was", async () => {
  const { harness } = await openWaitingBuild({ answer: () => ({ write: { made: "it" } }) });
  await harness.build("FROM base\nRUN one\nRUN three\n");
  const { forecast } = await forecastAndBuild(harness, "FROM base\nRUN two\nRUN three\n");
  expect(outcomesOf(forecast)).toEqual(["run", "depends"]);
  expect(forecast.steps.at(-1)?.dependsOn).toEqual(["[2/3] RUN two"]);
  expect(harness.steps("step-cached")).toContain("[3/3] RUN three");
});

test("of equal steps on equal ground one runs", async () => {
  const { harness } = await openWaitingBuild({ answer: () => ({ write: { made: "it" } }) });
  await harness.build(
    "FROM base AS a\nRUN one\nFROM base AS b\nRUN two\nFROM a\nCOPY --from=b / /\n",
  );
  const text =
    "FROM base AS a\nRUN one\nRUN x\nFROM base AS b\nRUN two\nRUN x\nFROM a\nCOPY --from=b / /\n";
  const { forecast } = await forecastAndBuild(harness, text);
  expect(outcomesOf(forecast)).toEqual(["cached", "run", "cached", "depends", "depends"]);
});

test("a copy with --link is one step, and runs where only its place is another", async () => {
  const directory = await makeContext({ a: "1" });
  const context = () => openDirectoryContext({ directory });
  const { harness } = await openWaitingBuild({
    answer: (command) => ({ write: { [command]: command } }),
    context,
  });
  const text = "FROM base\nRUN one\nCOPY --link a /a\n";
  await forecastAndBuild(harness, text);
  expect(outcomesOf(await harness.forecast(text))).toEqual(["cached", "cached"]);
  // The layer is there; it is put on another one.
  const moved = await harness.forecast("FROM base\nRUN two\nCOPY --link a /a\n");
  expect(outcomesOf(moved)).toEqual(["run", "depends"]);
});

test("a failure that would keep the build from beginning is the forecast's", async () => {
  const directory = await makeContext({ a: "1" });
  const { harness } = await openWaitingBuild({
    context: () => openDirectoryContext({ directory }),
  });
  await expect(harness.forecast("FROM base\nCOPY b /b\n")).rejects.toMatchObject({
    code: "CONTEXT_SOURCE_NOT_FOUND",
    location: { line: 2 },
  });
});

test("how long it takes is told from how long it took, side by side where nothing waits", async () => {
  const { harness } = await openExplainedBuild();
  const { steps } = await harness.build(dockerfile);
  const took = new Map(steps.map(({ name, durationMs = 0 }) => [name, durationMs]));
  const forecast = await harness.forecast(dockerfile, { noCache: true });
  const running = forecast.steps.filter(({ type }) => type === "step");
  for (const { name, durationMs } of running) expect(durationMs).toBe(took.get(name));
  const sum = running.reduce((total, { durationMs = 0 }) => total + durationMs, 0);
  // One stage after the other here: the second takes from the first.
  expect(forecast.estimate).toEqual({ atLeastMs: sum, atMostMs: sum, unknown: 0 });
});

/** Mutated builds in a row, each forecast before; TSBUILD_EXPLAIN_ROUNDS=1000 for a thousand. */
const rounds = Number(process.env["TSBUILD_EXPLAIN_ROUNDS"] ?? 25);

const stages = [
  "FROM base AS tools",
  "WORKDIR /tools",
  "COPY tools/ ./",
  "RUN tools",
  "FROM base AS build",
  "ARG VERSION=1",
  "COPY package.json ./",
  "RUN install",
  "COPY --link src/ /src/",
  "RUN --mount=type=bind,from=tools,target=/t compile",
  "FROM base AS docs",
  "COPY notes/ /notes/",
  "RUN document",
  "FROM base",
  "WORKDIR /app",
  "COPY --from=build /out ./",
  "COPY --link --from=docs /notes ./notes",
  "RUN check",
];

test("whatever is changed, the forecast is what happens", async () => {
  const random = pseudoRandom(Number(process.env["TSBUILD_EXPLAIN_SEED"] ?? 1));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const paths = ["package.json", "src/a", "src/b", "tools/t", "notes/n", "unused"];
  const directory = await makeContext(Object.fromEntries(paths.map((path) => [path, path])));
  const { harness } = await openWaitingBuild({
    // Some changes of a command change what it makes, others do not.
    answer: (command) => ({
      write: {
        [`${command.startsWith("compile") ? "out/" : ""}made`]: command.replace(/-v\d+/, ""),
      },
    }),
    context: () => openDirectoryContext({ directory }),
  });
  const state = { words: new Map<string, string>(), version: 0, extra: false };
  const kinds: readonly (() => Promise<BuildRequest> | BuildRequest)[] = [
    async () => {
      // Contents come back now and then.
      await writeFile(join(directory, pick(paths)), String(Math.floor(random() * 3)));
      return {};
    },
    async () => {
      await utimes(join(directory, pick(paths)), Math.floor(random() * 1e9), 1);
      return {};
    },
    () => {
      state.version = Math.floor(random() * 3);
      return {};
    },
    () => {
      const word = pick(["tools", "install", "compile", "document", "check"]);
      state.words.set(word, `${word} ${pick(["-v1", "-v2", "-O1", "-O2"])}`);
      return {};
    },
    () => {
      state.extra = !state.extra;
      return {};
    },
    () => ({ noCache: [pick(["tools", "build", "docs"])] }),
    async () => {
      const { trace } = await harness.build(text(), versioned({}));
      for (const { key, content } of trace.filter(() => random() < 0.2)) {
        for (const each of [key, content])
          if (each !== undefined) await harness.environment.cache.remove(each);
      }
      return {};
    },
  ];
  const text = (): string =>
    stages
      .map((line) =>
        line.replace(
          /(RUN .*?)(\w+)$/,
          (_all, run: string, word: string) => run + (state.words.get(word) ?? word),
        ),
      )
      .flatMap((line) => (state.extra && line.includes("install") ? ["RUN prepare", line] : [line]))
      .join("\n");
  const versioned = (request: BuildRequest): BuildRequest => ({
    ...request,
    buildArgs: { VERSION: String(state.version) },
  });
  const seen = new Map<string, number>();
  await harness.build(text(), versioned({}));
  for (let round = 0; round < rounds; round += 1) {
    const request = await pick(kinds)();
    const { forecast } = await forecastAndBuild(harness, text(), versioned(request));
    for (const outcome of outcomesOf(forecast)) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  expect([...seen.keys()].sort()).toEqual(["cached", "depends", "run", "skipped"]);
}, 1_800_000);
