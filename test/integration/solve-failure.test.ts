import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { contextError, openDirectoryContext } from "../../src/context/index.ts";
import { isTsbuildError, type TsbuildError } from "../../src/core/index.ts";
import { openWaitingBuild, type BuildHarness, type Built } from "../support/build-harness.ts";
import { makeContext } from "../support/setup-context.ts";

const threeStages = `FROM base AS a
RUN a1
RUN a2
FROM base AS b
RUN b1
RUN b2
FROM base AS c
RUN c1
FROM base
COPY --from=a /a2 /
COPY --from=b /b2 /
COPY --from=c /c1 /
`;

async function failureOf(building: Promise<Built>): Promise<TsbuildError> {
  const outcome = await building.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!isTsbuildError(outcome)) throw new Error("expected a failed build", { cause: outcome });
  return outcome;
}

/** The events that ended each started step; each is to have exactly one. */
function endsOf({ timeline }: BuildHarness): Record<string, string[]> {
  const ends: Record<string, string[]> = {};
  for (const line of timeline()) {
    const [what = "", name = ""] = line.split(/ (.*)/);
    if (what === "started") ends[name] ??= [];
    else if (["done", "failed", "canceled"].includes(what)) ends[name]?.push(what);
  }
  return ends;
}

test("the first failure is the build's: located, with exit code and output", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const failure = failureOf(harness.build("FROM base\nRUN fine\n\nRUN broken \\\n  again\n"));
  await sandbox.finish("fine");
  await sandbox.finish("broken   again", { exitCode: 7, output: "first line\nthe reason\n" });
  expect(await failure).toMatchObject({
    code: "BUILD_RUN_FAILED",
    location: { file: "Dockerfile", line: 4, column: 1 },
    details: { exitCode: 7, outputTail: "first line\nthe reason\n" },
  });
});

test("a failure cancels the other steps, and nothing half-made is kept", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const failure = failureOf(harness.build(threeStages));
  await sandbox.finish("a1", { write: { a1: "" } });
  await Promise.all(["a2", "b1", "c1"].map((command) => sandbox.started(command)));
  const before = await harness.kept();
  expect(before.snapshots).toHaveLength(2);
  expect(before.records).toHaveLength(2);

  await sandbox.finish("b1", { exitCode: 1, write: { half: "made" } });
  expect(await failure).toMatchObject({ code: "BUILD_RUN_FAILED", location: { line: 5 } });
  expect(sandbox.running).toEqual([]);
  expect(sandbox.commands.toSorted()).toEqual(["a1", "a2", "b1", "c1"]);
  expect(await harness.kept()).toEqual(before);
  expect(endsOf(harness)).toEqual({
    "[a 2/3] RUN a1": ["done"],
    "[a 3/3] RUN a2": ["canceled"],
    "[b 2/3] RUN b1": ["failed"],
    "[c 2/2] RUN c1": ["canceled"],
  });
});

test("the build rejects only when nothing of it runs any more", async () => {
  const { harness, sandbox } = await openWaitingBuild({ keepsCanceled: true });
  const order: string[] = [];
  const failure = failureOf(harness.build(threeStages)).finally(() => order.push("rejected"));
  await Promise.all(["a1", "b1", "c1"].map((command) => sandbox.started(command)));
  await sandbox.finish("b1", { exitCode: 1 });
  for (const command of ["a1", "c1"]) {
    await sandbox.canceled(command);
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    order.push(`let go ${command}`);
    await sandbox.letGo(command);
  }
  expect((await failure).code).toBe("BUILD_RUN_FAILED");
  expect(order).toEqual(["let go a1", "let go c1", "rejected"]);
});

test("a command that ends well after the failure is canceled all the same", async () => {
  const { harness, sandbox } = await openWaitingBuild({ keepsCanceled: true });
  const failure = failureOf(harness.build(threeStages));
  await Promise.all(["a1", "b1", "c1"].map((command) => sandbox.started(command)));
  const before = await harness.kept();
  await sandbox.finish("b1", { exitCode: 1 });
  await Promise.all([sandbox.canceled("a1"), sandbox.canceled("c1")]);
  await sandbox.finish("a1", { write: { a1: "" } });
  await sandbox.finish("c1", { exitCode: 2 });
  expect(await failure).toMatchObject({ location: { line: 5 }, details: { exitCode: 1 } });
  expect(await harness.kept()).toEqual(before);
  expect(endsOf(harness)["[a 2/3] RUN a1"]).toEqual(["canceled"]);
});

test("steps that wait for their turn do not start any more after a failure", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const atOnce = Math.max(8, 2 * availableParallelism());
  const stages = Array.from({ length: atOnce + 3 }, (_, index) => `s${String(index)}`);
  const failure = failureOf(
    harness.build(
      [
        ...stages.map((name) => `FROM base AS ${name}\nRUN ${name}`),
        "FROM base",
        ...stages.map((name) => `COPY --from=${name} /out /${name}`),
      ].join("\n"),
    ),
  );
  await sandbox.startedCount(atOnce);
  const unlucky = sandbox.running[3] ?? "none";
  await sandbox.finish(unlucky, { exitCode: 1 });
  const line = 2 * stages.indexOf(unlucky) + 2;
  expect(await failure).toMatchObject({ code: "BUILD_RUN_FAILED", location: { line } });
  expect(sandbox.commands).toHaveLength(atOnce);
  expect(Object.keys(endsOf(harness))).toHaveLength(atOnce);
});

test("a signal from outside cancels every step", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const controller = new AbortController();
  const failure = failureOf(harness.build(threeStages, { signal: controller.signal }));
  await sandbox.finish("a1");
  await Promise.all(["a2", "b1", "c1"].map((command) => sandbox.started(command)));
  const before = await harness.kept();
  controller.abort();
  expect((await failure).code).toBe("CANCELED");
  expect(sandbox.running).toEqual([]);
  expect(await harness.kept()).toEqual(before);
  expect(endsOf(harness)).toEqual({
    "[a 2/3] RUN a1": ["done"],
    "[a 3/3] RUN a2": ["canceled"],
    "[b 2/3] RUN b1": ["canceled"],
    "[c 2/2] RUN c1": ["canceled"],
  });
});

test("a command that ends well after the signal is canceled, and so is the build", async () => {
  const { harness, sandbox } = await openWaitingBuild({ keepsCanceled: true });
  const controller = new AbortController();
  const failure = failureOf(harness.build("FROM base\nRUN a\n", { signal: controller.signal }));
  await sandbox.started("a");
  controller.abort();
  await sandbox.finish("a");
  expect((await failure).code).toBe("CANCELED");
  expect(harness.timeline().at(-1)).toBe("canceled [2/2] RUN a");
});

test("nothing starts when the signal was given before", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const failure = await failureOf(harness.build(threeStages, { signal: AbortSignal.abort() }));
  expect(failure.code).toBe("CANCELED");
  expect(sandbox.commands).toEqual([]);
  expect(harness.events).toEqual([]);
});

test("the next build takes what was finished from the cache", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const failure = failureOf(harness.build(threeStages));
  await sandbox.finish("a1", { write: { a1: "" } });
  await sandbox.finish("c1", { write: { c1: "" } });
  await sandbox.started("a2");
  await sandbox.finish("b1", { exitCode: 1 });
  await failure;

  const again = harness.build(threeStages);
  await sandbox.finish("a2", { write: { a2: "" } });
  await sandbox.finish("b1", { write: { b1: "" } });
  await sandbox.finish("b2", { write: { b2: "" } });
  await again;
  expect(sandbox.commands.slice(4).toSorted()).toEqual(["a2", "b1", "b2"]);
  expect(harness.steps("step-started").toSorted()).toEqual([
    "[a 3/3] RUN a2",
    "[b 2/3] RUN b1",
    "[b 3/3] RUN b2",
    "[stage-3 2/4] COPY --from=a /a2 /",
    "[stage-3 3/4] COPY --from=b /b2 /",
    "[stage-3 4/4] COPY --from=c /c1 /",
  ]);
});

test("a step that two stages wait for fails once, at its own line", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const failure = failureOf(
    harness.build(`FROM base AS shared
RUN shared
FROM shared AS a
RUN a
FROM shared
RUN b
COPY --from=a /f /
`),
  );
  await sandbox.finish("shared", { exitCode: 3 });
  expect(await failure).toMatchObject({ location: { line: 2 }, details: { exitCode: 3 } });
  expect(harness.timeline().filter((line) => line.startsWith("failed"))).toHaveLength(1);
});

test("a context that cannot be opened is blamed on the instruction that reads it", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: () => ({}),
    context: () => Promise.reject(contextError("CONTEXT_UNREADABLE", "open the context")),
  });
  const failure = await failureOf(harness.build("FROM base\nRUN a\nCOPY file /\nRUN b\n"));
  expect(failure).toMatchObject({ code: "CONTEXT_UNREADABLE", location: { line: 3 } });
  expect(sandbox.running).toEqual([]);
});

test("a source that is missing is blamed on its COPY, not on a later step", async () => {
  const directory = await makeContext({ there: "" });
  const { harness } = await openWaitingBuild({
    answer: () => ({}),
    context: () => openDirectoryContext({ directory }),
  });
  const failure = await failureOf(
    harness.build("FROM base\nCOPY there /\nCOPY missing /\nCOPY missing-too /\nRUN b\n"),
  );
  expect(failure).toMatchObject({ code: "CONTEXT_SOURCE_NOT_FOUND", location: { line: 3 } });
});
