import { expect, test } from "vitest";
import { readSteps, type ToldStep } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, output } = workspace;
const raw = ["--progress", "rawjson"];

const fourStages = `
FROM BUSYBOX AS one
RUN sleep 2; echo 1 >/out
FROM BUSYBOX AS two
RUN sleep 2; echo 2 >/out
FROM BUSYBOX AS three
RUN sleep 2; echo 3 >/out
FROM BUSYBOX AS four
RUN sleep 2; echo 4 >/out
FROM BUSYBOX
COPY --from=one /out /1
COPY --from=two /out /2
COPY --from=three /out /3
COPY --from=four /out /4
`;

test("four stages that wait are all running at one moment [4.8]", async () => {
  const folder = await context({ Dockerfile: fourStages });
  const { stderr } = await expectCli([...raw, "-t", "parallel:1", folder]);
  const sleeping = readSteps(stderr).filter(({ name }) => name.includes("RUN sleep 2"));
  expect(sleeping.map(({ outcome }) => outcome)).toEqual(["done", "done", "done", "done"]);
  const lastStart = Math.max(...sleeping.map(({ started }) => started));
  const firstEnd = Math.min(...sleeping.map(({ ended }) => ended));
  expect(lastStart).toBeLessThan(firstEnd);
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
RUN sleep 60
FROM BUSYBOX AS bad
RUN sleep 1; exit 5
FROM BUSYBOX
COPY --from=slow /bin/busybox /a
COPY --from=bad /bin/busybox /b
`,
  });
  const began = Date.now();
  const { code, stderr } = await cli([...raw, "-t", "canceled:1", folder]);
  expect(code).toBe(1);
  expect(Date.now() - began).toBeLessThan(30_000);
  const outcomes = Object.fromEntries(
    readSteps(stderr)
      .filter(({ name }) => name.includes("RUN "))
      .map(({ name, outcome }) => [name.replace(/^.*RUN /, ""), outcome]),
  );
  expect(outcomes).toEqual({ "sleep 60": "canceled", "sleep 1; exit 5": "failed" });
});
