import { expect, test } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import { openWaitingBuild } from "../support/build-harness.ts";
import { makeContext } from "../support/setup-context.ts";

const diamond = `FROM base AS shared
RUN bottom
FROM shared AS left
RUN left
FROM shared AS right
RUN right
FROM shared AS final
COPY --from=left /left /
COPY --from=right /right /
COPY file /
WORKDIR /app
`;

async function openDiamond(): ReturnType<typeof openWaitingBuild> {
  const directory = await makeContext({ file: "" });
  return openWaitingBuild({
    answer: (command) => ({ write: { [command]: command } }),
    context: () => openDirectoryContext({ directory }),
  });
}

test("when all is cached, each step is told once, after what it is built on", async () => {
  const { harness } = await openDiamond();
  const first = await harness.build(diamond);
  const ran = first.steps.map(({ name }) => name);
  const second = await harness.build(diamond);
  expect(harness.events.map(({ type }) => type)).toEqual(Array(8).fill("step-cached"));
  const told = harness.steps("step-cached");
  expect(told.toSorted()).toEqual(
    ["[shared 1/2] FROM docker.io/library/base:latest", ...ran].toSorted(),
  );
  const plan = await harness.plan(diamond);
  for (const { name, inputs } of plan.vertices) {
    for (const input of inputs) {
      const below = plan.vertices[input]?.name ?? "";
      if (told.includes(below)) expect(told.indexOf(below)).toBeLessThan(told.indexOf(name));
    }
  }
  expect(second.steps.map(({ outcome }) => outcome)).toEqual(Array(7).fill("cached"));
  expect(second.steps.map(({ key }) => key).toSorted()).toEqual(
    first.steps.map(({ key }) => key).toSorted(),
  );
});

test("a step that runs beside cached ones is told after its cached ancestors, each once", async () => {
  const { harness } = await openDiamond();
  await harness.build(diamond);
  await harness.build(diamond.replace("RUN right", "RUN right again\nRUN right"));
  const shown = harness.events.flatMap((event) => ("name" in event ? [event.name] : []));
  expect(new Set(shown).size).toBe(shown.length);
  expect(harness.steps("step-started")).toEqual([
    "[right 1/2] RUN right again",
    "[right 2/2] RUN right",
  ]);
  expect(shown.slice(0, 2)).toEqual([
    "[shared 1/2] FROM docker.io/library/base:latest",
    "[shared 2/2] RUN bottom",
  ]);
  expect(shown.indexOf("[left 1/1] RUN left")).toBeLessThan(
    shown.indexOf("[final 1/4] COPY --from=left /left /"),
  );
});

test("an ancestor that is not in the cache any more is not told of below a cached step", async () => {
  const { harness } = await openDiamond();
  const { steps } = await harness.build(diamond);
  const left = steps.find(({ name }) => name.endsWith("RUN left"));
  if (left === undefined) throw new Error("left did not run");
  await harness.environment.cache.remove(left.key);
  await harness.build(diamond);
  expect(harness.steps("step-started")).toEqual([]);
  expect(harness.steps("step-cached")).toHaveLength(7);
  expect(harness.steps("step-cached")).not.toContain(left.name);
});

test("a build on a base alone shows nothing but what it looked at", async () => {
  const { harness } = await openWaitingBuild();
  const { targets } = await harness.build("FROM base\nCMD x\n");
  expect(harness.events).toEqual([]);
  expect(targets[0]?.diffIds).toHaveLength(1);
});
