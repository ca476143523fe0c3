import { expect, test, vi } from "vitest";
import {
  openWaitingBuild,
  type BuildHarness,
  type Built,
  type BuildRequest,
} from "../support/build-harness.ts";
import { describeForecast, forecastAndBuild } from "../support/compare-forecast.ts";
import {
  dockerfile,
  mutate,
  mutations,
  openExplainedBuild,
  reasons,
} from "../support/explained-build.ts";
import { pseudoRandom } from "../support/random.ts";

test("the first time, that is the reason", async () => {
  const { harness } = await openExplainedBuild();
  await harness.build("FROM base\nRUN one\nWORKDIR /x\n");
  expect(reasons(harness)).toEqual(["[2/3] RUN one: first time", "[3/3] WORKDIR /x: first time"]);
});

test.for(mutations)("%s", async ([, mutation]) => {
  const { directory, harness } = await openExplainedBuild();
  await harness.build(dockerfile);
  await mutate(directory, mutation);
  const [from, to] = mutation.edit ?? ["", ""];
  const text = dockerfile.replace(from, to);
  const { forecast } = await forecastAndBuild(harness, text, mutation.request);
  expect(reasons(harness).join("\n")).toMatchSnapshot();
  expect(describeForecast(forecast)).toMatchSnapshot();
});

/** Makes the cache forget the steps whose names end so. */
async function forget({ environment }: BuildHarness, steps: Built["steps"], ...ends: string[]) {
  for (const { name, key, content } of steps) {
    if (!ends.some((end) => name.endsWith(end))) continue;
    for (const each of [key, content ?? key]) await environment.cache.remove(each);
  }
}

test("what was pruned is told as evicted", async () => {
  const { harness } = await openExplainedBuild();
  const { steps } = await harness.build(dockerfile);
  await forget(harness, steps, "RUN install", "RUN check");
  await harness.build(dockerfile);
  expect(reasons(harness)).toMatchSnapshot();
});

test("an old build says what it knew when the files were counted by definition only", async () => {
  const { directory, harness } = await openExplainedBuild();
  await harness.build(dockerfile);
  // All from the cache: the record of this build knows no keys by content.
  await harness.build(dockerfile);
  await mutate(directory, { files: { "src/b.ts": "22" } });
  await harness.build(dockerfile);
  expect(reasons(harness)).toMatchSnapshot();
});

test("what a step copies is looked at although it is defined as before", async () => {
  let made = 0;
  const { harness } = await openWaitingBuild({
    answer: (command) => ({ write: { [command]: String((made += 1)) } }),
  });
  const text = "FROM base AS a\nRUN one\nRUN two\nFROM base\nCOPY --from=a /two /two\nRUN three\n";
  await harness.build(text);
  await harness.build(text, { noCache: ["a"] });
  expect(reasons(harness)).toEqual([
    "[a 2/3] RUN one: asked to run again",
    "[a 3/3] RUN two: asked to run again",
    "[stage-1 2/3] COPY --from=a /two /two: two: content changed; from [a 3/3] RUN two",
    "[stage-1 3/3] RUN three: two: content changed; from [a 3/3] RUN two; by [stage-1 2/3] COPY --from=a /two /two",
  ]);
});

test("a build does not fail of old keys and records that cannot be read", async () => {
  const { directory, harness } = await openExplainedBuild();
  await harness.build(dockerfile);
  const { cache } = harness.environment;
  const explain = vi.spyOn(cache, "explain").mockRejectedValue(new Error("EIO"));
  await mutate(directory, { files: { "package.json": "{1}" } });
  await harness.build(dockerfile);
  expect(explain).toHaveBeenCalled();
  expect(reasons(harness)[0]).toContain("something changed");
});

test("where the old key was pruned, nobody can tell", async () => {
  const { directory, harness } = await openExplainedBuild();
  const { steps } = await harness.build(dockerfile);
  await forget(harness, steps, "");
  await mutate(directory, { files: { "package.json": "{1}" } });
  await harness.build(dockerfile);
  expect(reasons(harness)[0]).toMatchInlineSnapshot(
    `"[build 2/5] COPY package.json ./: something changed, but what the last build was made of is not kept any more"`,
  );
});

/** Mutated builds in a row; TSBUILD_EXPLAIN_ROUNDS=1000 for a thousand. */
const rounds = Number(process.env["TSBUILD_EXPLAIN_ROUNDS"] ?? 60);

test("whatever is changed, no other cause is named", async () => {
  const random = pseudoRandom(Number(process.env["TSBUILD_EXPLAIN_SEED"] ?? 1));
  const { directory, harness } = await openExplainedBuild();
  const state = { level: 0, version: 0, flags: 0, extra: false, mode: false, more: false };
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const kinds: readonly (() => Promise<RegExp>)[] = [
    async () => {
      const path = pick(["package.json", "src/a.ts", "src/b.ts", "src/deep/c.ts"]);
      // Never the content that was there before: else nothing would be changed.
      await mutate(directory, { files: { [path]: `${String(random())}\n` } });
      // A file that is written anew gets its usual mode back.
      if (path === "src/a.ts") state.mode = false;
      return new RegExp(`${path}: (?:content changed|mode \\d+ -> \\d+)`);
    },
    async () => {
      state.more = !state.more;
      await mutate(directory, { files: { "src/more.ts": state.more ? "more" : undefined } });
      return state.more ? /src\/more\.ts: added/ : /src\/more\.ts: removed/;
    },
    async () => {
      state.mode = !state.mode;
      await mutate(directory, { modes: { "src/a.ts": state.mode ? 0o755 : 0o644 } });
      return /src\/a\.ts: mode/;
    },
    async () => {
      state.level += 1;
      return /ARG or ENV LEVEL changed/;
    },
    async () => {
      state.version += 1;
      return /ARG or ENV VERSION changed/;
    },
    async () => {
      state.flags += 1;
      return /instruction changed, it was: RUN compile|out\/file: content changed/;
    },
    async () => {
      state.extra = !state.extra;
      return state.extra ? /new since the last build/ : /RUN prepare is gone/;
    },
    async () => {
      await mutate(directory, { files: { "notes/n": String(random()) } });
      return /nothing may run/;
    },
  ];
  const text = (): string =>
    dockerfile
      .replace("LEVEL=low", `LEVEL=${String(state.level)}`)
      .replace("RUN compile", `RUN compile ${String(state.flags)}`)
      .replace("RUN install", state.extra ? "RUN prepare\nRUN install" : "RUN install");
  const request = (): BuildRequest => ({ buildArgs: { VERSION: String(state.version) } });
  await harness.build(text(), request());
  let explained = 0;
  for (let round = 0; round < rounds; round += 1) {
    const expected = await pick(kinds)();
    const { forecast } = await forecastAndBuild(harness, text(), request());
    for (const { why } of forecast.steps) if (why !== undefined) expect(why).toMatch(expected);
    for (const reason of reasons(harness)) {
      expect(reason).toMatch(expected);
      explained += 1;
    }
  }
  expect(explained).toBeGreaterThan(rounds);
}, 1_800_000);
