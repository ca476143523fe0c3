import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import { chainIdOf } from "../../src/core/index.ts";
import { openWaitingBuild, type Built } from "../support/build-harness.ts";
import type { FakeOutcome } from "../support/fake-sandbox.ts";
import { makeContext, writeEntries } from "../support/setup-context.ts";

const writeOwnName = (command: string): FakeOutcome => ({ write: { [command]: command } });

function topOf(built: Built): string | undefined {
  return built.targets[0]?.chainId;
}

test("the same Dockerfile again runs nothing and gives the same image [6.1]", async () => {
  const { harness, sandbox } = await openWaitingBuild({ answer: writeOwnName });
  const dockerfile = "FROM base\nRUN one\nWORKDIR /app\nRUN two\n";
  const first = await harness.build(dockerfile);
  const kept = await harness.kept();
  const second = await harness.build(dockerfile);
  expect(sandbox.commands).toEqual(["one", "two"]);
  expect(second.config).toEqual(first.config);
  expect(second.targets).toEqual(first.targets);
  expect(second.written).toEqual([]);
  expect(await harness.kept()).toEqual(kept);
});

test.for<[string, string]>([
  ["a comment", "# why\nFROM base\n# and how\nRUN one\nRUN two\n"],
  ["whitespace", "\n\nFROM   base\n\n\tRUN  one\nrun two\n\n"],
  ["a continuation", "FROM \\\n base\nRUN \\\none\nRUN two\n"],
  ["the stage's name", "FROM base AS named\nRUN one\nRUN two\n"],
  ["LABEL, EXPOSE and VOLUME", "FROM base\nLABEL a=b\nRUN one\nEXPOSE 80\nVOLUME /v\nRUN two\n"],
  ["CMD and ENTRYPOINT", 'FROM base\nENTRYPOINT ["e"]\nRUN one\nCMD ["c"]\nRUN two\n'],
  ["STOPSIGNAL and HEALTHCHECK", "FROM base\nSTOPSIGNAL 9\nRUN one\nHEALTHCHECK NONE\nRUN two\n"],
  ["ONBUILD and MAINTAINER", "FROM base\nMAINTAINER me\nRUN one\nONBUILD RUN x\nRUN two\n"],
  ["an ARG without a value", "FROM base\nARG NOTHING\nRUN one\nRUN two\n"],
])("a change of %s runs nothing [6.5]", async ([, edited]) => {
  const { harness, sandbox } = await openWaitingBuild({ answer: writeOwnName });
  const before = await harness.build("FROM base\nRUN one\nRUN two\n");
  const after = await harness.build(edited);
  expect(sandbox.commands).toEqual(["one", "two"]);
  expect(harness.steps("step-started")).toEqual([]);
  expect(topOf(after)).toBe(topOf(before));
});

test.for<[string, string]>([
  ["ENV", "FROM base\nRUN one\nENV A=2\nRUN two\nRUN three\n"],
  ["ARG", "FROM base\nRUN one\nARG A=2\nRUN two\nRUN three\n"],
  ["USER", "FROM base\nRUN one\nUSER 5\nRUN two\nRUN three\n"],
  ["SHELL", 'FROM base\nRUN one\nSHELL ["/bin/sh", "-ec"]\nRUN two\nRUN three\n'],
  ["the command", "FROM base\nRUN one\nRUN  two -v\nRUN three\n"],
  ["--network", "FROM base\nRUN one\nRUN --network=none two\nRUN three\n"],
])("a change of %s runs what follows again, and only that [3.72, 6.4]", async ([, edited]) => {
  const { harness, sandbox } = await openWaitingBuild({
    // Otherwise the step after would be known by its content.
    answer: () => ({ write: { count: String(sandbox.commands.length) } }),
  });
  await harness.build("FROM base\nRUN one\nRUN two\nRUN three\n");
  await harness.build(edited);
  expect(sandbox.commands).toHaveLength(5);
  expect(harness.steps("step-started").map((name) => name.slice(0, 5))).toEqual(["[3/4]", "[4/4]"]);
});

test("a build argument reruns the RUNs after its ARG, used or not, but no COPY and no WORKDIR [6.4]", async () => {
  const directory = await makeContext({ file: "" });
  const { harness, sandbox } = await openWaitingBuild({
    answer: writeOwnName,
    context: () => openDirectoryContext({ directory }),
  });
  const dockerfile = "FROM base\nRUN one\nARG MODE\nCOPY file /\nWORKDIR /app\nRUN two\n";
  await harness.build(dockerfile, { buildArgs: { MODE: "a" } });
  await harness.build(dockerfile, { buildArgs: { MODE: "b" } });
  expect(sandbox.commands).toEqual(["one", "two", "two"]);
  expect(harness.steps("step-started")).toEqual(["[5/5] RUN two"]);
  await harness.build(dockerfile, { buildArgs: { MODE: "a" } });
  expect(sandbox.commands).toHaveLength(3);
});

test("proxies reach the command and not its key", async () => {
  const { harness, sandbox } = await openWaitingBuild({ answer: writeOwnName });
  await harness.build("FROM base\nRUN one\n", { buildArgs: { HTTP_PROXY: "http://a.test" } });
  await harness.build("FROM base\nRUN one\n", { buildArgs: { HTTP_PROXY: "http://b.test" } });
  await harness.build("FROM base\nRUN one\n");
  expect(sandbox.specs).toHaveLength(1);
  expect(sandbox.specs[0]?.env).toContain("http_proxy=http://a.test");
});

test("after a changed step that makes the same files, the later ones are known by content [6.1]", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: (command) => ({ write: { out: command.startsWith("make") ? "equal" : command } }),
  });
  const first = await harness.build("FROM base\nRUN make -j1\nRUN two\nWORKDIR /w\nRUN three\n");
  const edited = "FROM base\nRUN make -j8\nRUN two\nWORKDIR /w\nRUN three\n";
  const second = await harness.build(edited);
  expect(sandbox.commands).toEqual(["make -j1", "two", "three", "make -j8"]);
  expect(second.targets).toEqual(first.targets);
  expect(harness.timeline()).toEqual([
    "cached [1/5] FROM docker.io/library/base:latest",
    "started [2/5] RUN make -j8",
    "done [2/5] RUN make -j8",
    "cached [3/5] RUN two",
    "cached [4/5] WORKDIR /w",
    "cached [5/5] RUN three",
  ]);

  // What was found by content is known by definition the next time, so that nothing below is looked at.
  const third = await harness.build(edited);
  expect(third.written).toEqual([]);
  expect(third.steps.map(({ key }) => key)).toEqual(second.steps.map(({ key }) => key));
  expect(harness.steps("step-started")).toEqual([]);
});

test("a stage that makes the same files leaves the COPY from it in the cache [6.1]", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: (command) => ({ write: { out: "equal", [command]: command } }),
  });
  const dockerfile = (command: string): string =>
    `FROM base AS made\nRUN ${command}\nFROM base\nCOPY --from=made /out /\nRUN after\n`;
  const first = await harness.build(dockerfile("a"));
  const second = await harness.build(dockerfile("b"));
  expect(sandbox.commands).toEqual(["a", "after", "b"]);
  expect(second.targets).toEqual(first.targets);
  await harness.build(dockerfile("b").replaceAll("made", "renamed"));
  expect(harness.steps("step-started")).toEqual([]);
});

test("COPY reads what it selects: other files, times and names of stages do not matter [6.6, 6.7, 6.8, 6.9]", async () => {
  const directory = await makeContext({ "src/a": "1", "src/b": "2", other: "3" });
  const { harness } = await openWaitingBuild({
    answer: writeOwnName,
    context: () => openDirectoryContext({ directory }),
  });
  const dockerfile = "FROM base\nCOPY src /src\nCOPY other /other\nRUN one\n";
  await harness.build(dockerfile);
  await writeEntries(directory, { unrelated: "new", "src/a": "1" });
  await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual([]);

  await writeEntries(directory, { other: "changed" });
  await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual(["[3/4] COPY other /other", "[4/4] RUN one"]);

  await writeEntries(directory, { "src/a": { mode: 0o755, content: "1" } });
  await harness.build(dockerfile);
  expect(harness.steps("step-started")).toHaveLength(3);
});

test("without the cache everything runs again, and WORKDIR stands on the new files [6.16]", async () => {
  const directory = await makeContext({ file: "" });
  const { harness, sandbox } = await openWaitingBuild({
    answer: () => ({ write: { count: String(sandbox.commands.length) } }),
    context: () => openDirectoryContext({ directory }),
  });
  const dockerfile = "FROM base\nRUN one\nWORKDIR /app\nCOPY file .\nRUN two\n";
  const first = await harness.build(dockerfile);
  const second = await harness.build(dockerfile, { noCache: true });
  expect(sandbox.commands).toEqual(["one", "two", "one", "two"]);
  expect(harness.steps("step-started")).toHaveLength(4);
  const [before, after] = [first, second].map(({ targets }) => targets[0]?.diffIds ?? []);
  // Base, RUN, WORKDIR, COPY, RUN: only the RUNs made other files than before.
  expect(after?.map((diffId, index) => diffId === before?.[index])).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
  expect(topOf(second)).toBe(chainIdOf(after ?? []));
  expect(
    await harness.environment.snapshots.stat(chainIdOf(after ?? []) ?? neverChain),
  ).toBeDefined();

  const third = await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual([]);
  expect(third.targets).toEqual(second.targets);
});

test("without the cache, a WORKDIR on files that stayed the same is the one from before [6.16]", async () => {
  const { harness } = await openWaitingBuild({ answer: writeOwnName });
  const dockerfile = "FROM base\nRUN one\nWORKDIR /app\n";
  const first = await harness.build(dockerfile);
  const second = await harness.build(dockerfile, { noCache: true });
  expect(harness.timeline()).toEqual([
    "cached [1/3] FROM docker.io/library/base:latest",
    "started [2/3] RUN one",
    "done [2/3] RUN one",
    "cached [3/3] WORKDIR /app",
  ]);
  expect(second.targets).toEqual(first.targets);
});

describe("without the cache for chosen stages [6.16]", () => {
  const dockerfile = `FROM base AS Shared
RUN shared
FROM shared AS made
WORKDIR /w
RUN make
FROM shared
RUN own
COPY --from=made /out /
RUN after
`;

  test("only their RUN and COPY run again; what stands on them is known by content", async () => {
    const { harness, sandbox } = await openWaitingBuild({
      answer: (command) => ({ write: { out: "equal", [command]: command } }),
    });
    const first = await harness.build(dockerfile);
    const second = await harness.build(dockerfile, { noCache: ["MADE", "stage-2", "nobody"] });
    expect(sandbox.commands.slice(4)).toEqual(["make"]);
    expect(harness.steps("step-started")).toEqual(["[made 2/2] RUN make"]);
    expect(second.targets).toEqual(first.targets);
  });

  test("other files in them reach whoever reads them, and serve the next build", async () => {
    const { harness, sandbox } = await openWaitingBuild({
      answer: () => ({ write: { out: String(sandbox.commands.length) } }),
    });
    await harness.build(dockerfile);
    const second = await harness.build(dockerfile, { noCache: ["made"] });
    expect(sandbox.commands.slice(4)).toEqual(["make", "after"]);
    const third = await harness.build(dockerfile);
    expect(harness.steps("step-started")).toEqual([]);
    expect(third.targets).toEqual(second.targets);
  });

  test("a step that another stage has too runs again, once", async () => {
    const { harness, sandbox } = await openWaitingBuild({ answer: writeOwnName });
    const twins = "FROM base AS a\nRUN same\nFROM base AS b\nRUN same\nCOPY --from=a /same /a\n";
    await harness.build(twins);
    await harness.build(twins, { noCache: ["b"] });
    expect(sandbox.commands).toEqual(["same", "same"]);
  });
});

test("a step whose files are gone runs again", async () => {
  const { harness, sandbox } = await openWaitingBuild({ answer: writeOwnName });
  const dockerfile = "FROM base\nRUN one\nRUN two\nRUN three\n";
  const first = await harness.build(dockerfile);
  await harness.environment.snapshots.remove(first.targets[0]?.chainId ?? neverChain);
  const second = await harness.build(dockerfile);
  expect(sandbox.commands).toEqual(["one", "two", "three", "three"]);
  expect(harness.steps("step-started")).toEqual(["[4/4] RUN three"]);
  expect(second.targets[0]).toMatchObject({ diffIds: first.targets[0]?.diffIds });
});

test("a step whose parents' files are gone runs again, with them", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: () => ({ write: { count: String(sandbox.commands.length) } }),
  });
  const dockerfile = "FROM base\nRUN one\nRUN two\nRUN three\n";
  const first = await harness.build(dockerfile);
  const middle = chainIdOf(first.targets[0]?.diffIds.slice(0, 3) ?? []);
  await harness.environment.snapshots.remove(middle ?? neverChain);
  const second = await harness.build(dockerfile);
  expect(sandbox.commands).toEqual(["one", "two", "three", "two", "three"]);
  const diffIds = second.targets[0]?.diffIds ?? [];
  expect(topOf(second)).toBe(chainIdOf(diffIds));
  expect(diffIds.slice(0, 2)).toEqual(first.targets[0]?.diffIds.slice(0, 2));
  expect(diffIds.slice(2)).not.toEqual(first.targets[0]?.diffIds.slice(2));
  await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual([]);
});

test("a failed step is not remembered, neither by definition nor by content", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  for (const attempt of [1, 2]) {
    const building = harness.build("FROM base\nRUN one\n");
    await sandbox.finish("one", { exitCode: attempt });
    await expect(building).rejects.toMatchObject({ details: { exitCode: attempt } });
  }
  expect((await harness.kept()).records).toEqual([]);
});

test("each key can be explained: the object beside its record", async () => {
  const { harness } = await openWaitingBuild({ answer: writeOwnName });
  const built = await harness.build("FROM base AS named\nENV B=2 A=1\nWORKDIR /app\nRUN one\n");
  const objects = await Promise.all(
    built.written.map(async (key) => {
      const object = await harness.environment.cache.explain(key);
      return { kind: object?.kind, fields: Array.from(object?.fields ?? []) };
    }),
  );
  const run = objects.filter((object) => object.fields[0]?.name === "instruction").slice(-2);
  expect(run.map(({ kind }) => kind).toSorted()).toEqual(["content", "definition"]);
  expect(run.find(({ kind }) => kind === "definition")?.fields.map(({ name }) => name)).toEqual([
    "instruction",
    "env.PATH",
    "env.B",
    "env.A",
    "cwd",
    "user",
    "network",
    "security",
    "platform",
    "mounts",
    "parent",
  ]);
  const parent = run
    .find(({ kind }) => kind === "definition")
    ?.fields.find(({ name }) => name === "parent")?.value;
  expect(built.steps.map(({ key }) => key)).toContain(parent);
  expect(JSON.stringify(objects)).not.toContain("named");
  expect(JSON.stringify(objects)).not.toContain("Dockerfile");
});

test("a COPY's key names each file that it reads [6.6]", async () => {
  const directory = await makeContext({ "src/a": "1", "src/deep/b": "2", other: "3" });
  const { harness } = await openWaitingBuild({
    context: () => openDirectoryContext({ directory }),
  });
  const built = await harness.build("FROM base\nCOPY src /to\n");
  const [step] = built.steps;
  const object = step && (await harness.environment.cache.explain(step.key));
  expect(object?.kind).toBe("definition");
  expect(Array.from(object?.fields ?? [], ({ name }) => name)).toEqual([
    "instruction",
    "chown",
    "chmod",
    "link",
    "parents",
    "exclude",
    "time",
    "parent",
    "file:src",
    "file:src/a",
    "file:src/deep",
    "file:src/deep/b",
    "files.0",
  ]);
});

const neverChain = "sha256:never" as NonNullable<ReturnType<typeof chainIdOf>>;

test("what a COPY reads of files that came during the build is not remembered for those of before", async () => {
  const directory = await makeContext({ "src/old": "" });
  const { harness, sandbox } = await openWaitingBuild({
    context: () => openDirectoryContext({ directory }),
  });
  const dockerfile = "FROM base\nRUN slow\nCOPY src /src\nWORKDIR /w\n";
  const building = harness.build(dockerfile);
  await sandbox.started("slow");
  await writeEntries(directory, { "src/new": "" });
  // What was looked at in the last second is not looked at again.
  await setTimeout(1_100);
  await sandbox.finish("slow", {});
  const more = await building;
  await rm(join(directory, "src/new"));
  const less = await harness.build(dockerfile);
  expect(topOf(less)).not.toBe(topOf(more));
  await writeEntries(directory, { "src/new": "" });
  expect(topOf(await harness.build(dockerfile))).toBe(topOf(more));
});
