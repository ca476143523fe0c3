import { expect, test } from "vitest";
import { readSteps, type ToldStep } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, output } = workspace;
const raw = ["--progress", "rawjson"];

/** Each waits for all: one after the other they would wait for ever. */
const meeting = (own: string): string =>
  `RUN --mount=type=cache,target=/meeting touch /meeting/${own}; until [ "$(ls /meeting | wc -l)" = 4 ]; do sleep 0.05; done; echo ${own} >/out`;

const fourStages = `
FROM BUSYBOX AS one
${meeting("1")}
FROM BUSYBOX AS two
${meeting("2")}
FROM BUSYBOX AS three
${meeting("3")}
FROM BUSYBOX AS four
${meeting("4")}
FROM BUSYBOX
COPY --from=one /out /1
COPY --from=two /out /2
COPY --from=three /out /3
COPY --from=four /out /4
`;

test("four stages that wait are all running at one moment [4.8]", async () => {
  const folder = await context({ Dockerfile: fourStages });
  const { stderr } = await expectCli([...raw, "-t", "parallel:1", folder]);
  const waiting = readSteps(stderr).filter(({ name }) => name.includes("touch /meeting"));
  expect(waiting.map(({ outcome }) => outcome)).toEqual(["done", "done", "done", "done"]);
  const lastStart = Math.max(...waiting.map(({ started }) => started));
  const firstEnd = Math.min(...waiting.map(({ ended }) => ended));
  expect(lastStart).toBeLessThanOrEqual(firstEnd);
  expect(await output("parallel:1", "sh", "-c", "cat /1 /2 /3 /4")).toBe("1\n2\n3\n4\n");
});

test("steps of one stage come one after the other [4.8]", async () => {
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nRUN echo 1 >/a\nRUN cat /a && echo 2 >/b\nRUN cat /b\n",
  });
  const { stderr } = await expectCli([...raw, "-t", "serial:1", folder]);
  const steps = readSteps(stderr).filter(({ name }) => name.includes("RUN "));
  expect(steps).toHaveLength(3);
  for (const [index, step] of steps.entries()) {
    const before: ToldStep | undefined = steps[index - 1];
    if (before !== undefined) expect(step.started).toBeGreaterThanOrEqual(before.ended);
  }
});

test("a step that two stages share is run once [4.9]", async () => {
  const folder = await context({
    Dockerfile: `FROM BUSYBOX AS shared
RUN cat /proc/sys/kernel/random/uuid >/stamp
FROM shared AS left
RUN cp /stamp /left
FROM shared AS right
RUN cp /stamp /right
FROM scratch
COPY --from=BUSYBOX /bin /bin
COPY --from=left /left /left
COPY --from=right /right /right
`,
  });
  const { stderr } = await expectCli([...raw, "-t", "shared:1", folder]);
  const ran = readSteps(stderr).filter(({ name }) => name.includes("RUN cat /proc"));
  expect(ran).toHaveLength(1);
  expect(await output("shared:1", "cmp", "/left", "/right")).toBe("");
});

test("the first failure cancels what runs beside it", async () => {
  const folder = await context({
    Dockerfile: `FROM BUSYBOX AS slow
RUN sleep 1000
FROM BUSYBOX AS bad
RUN sleep 1; exit 5
FROM BUSYBOX
COPY --from=slow /bin/busybox /a
COPY --from=bad /bin/busybox /b
`,
  });
  // Whoever waited for the slow one would wait longer than a test may take.
  const { code, stderr } = await cli([...raw, "-t", "canceled:1", folder]);
  expect(code).toBe(1);
  const outcomes = Object.fromEntries(
    readSteps(stderr)
      .filter(({ name }) => name.includes("RUN "))
      .map(({ name, outcome }) => [name.replace(/^.*RUN /, ""), outcome]),
  );
  expect(outcomes).toEqual({ "sleep 1000": "canceled", "sleep 1; exit 5": "failed" });
});
