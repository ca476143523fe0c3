import { expect, test } from "vitest";
import type { Clock } from "../../src/core/index.ts";
import { parseImageConfig } from "../../src/image/index.ts";
import { openWaitingBuild, type Built } from "../support/build-harness.ts";

/** Every look at it is a second later. */
function tickingClock(start = Date.parse("2026-05-05T00:00:00Z")): Clock {
  let time = start;
  return { now: () => new Date((time += 1000)) };
}

function configOf({ config }: Built): ReturnType<typeof parseImageConfig> {
  return parseImageConfig(config);
}

const mixed = `FROM base AS below
LABEL first=1
RUN one
ENV A=1
FROM below
EXPOSE 80
WORKDIR /app
RUN two
CMD three
`;

test("history follows the Dockerfile, empty layers are marked, the others have their diffId", async () => {
  const { harness } = await openWaitingBuild({ answer: (name) => ({ write: { [name]: "" } }) });
  const built = await harness.build(mixed);
  const { history, diffIds } = configOf(built);
  expect(
    history.map(({ createdBy, emptyLayer = false }) => `${String(emptyLayer)} ${createdBy}`),
  ).toEqual([
    "false base",
    "true LABEL first=1",
    "false RUN /bin/sh -c one # buildkit",
    "true ENV A=1",
    "true EXPOSE [80/tcp]",
    "false WORKDIR /app",
    "false RUN /bin/sh -c two # buildkit",
    'true CMD ["/bin/sh" "-c" "three"]',
  ]);
  expect(diffIds).toEqual(built.targets[0]?.diffIds);
  expect(diffIds).toHaveLength(4);
  expect(history.filter(({ emptyLayer }) => emptyLayer !== true)).toHaveLength(4);
});

test("an empty layer has the time of the next layer, the last ones that of the last", async () => {
  const { harness } = await openWaitingBuild({ answer: () => ({}), clock: tickingClock() });
  const built = await harness.build(mixed);
  const { history, created } = configOf(built);
  const [base, label, one, env, expose, workdir, two, cmd] = history.map((entry) => entry.created);
  expect(base).toBe("2026-01-01T00:00:00Z");
  expect(label).toBe(one);
  expect([env, expose]).toEqual([workdir, workdir]);
  expect(cmd).toBe(two);
  expect(created).toBe(two);
  expect([one, workdir, two]).toEqual([one, workdir, two].toSorted());
  expect(new Set([base, one, workdir, two]).size).toBe(4);
});

test("a rebuild from the cache, at another time, gives the same bytes", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: (name) => ({ write: { [name]: "" } }),
    clock: tickingClock(),
  });
  const first = await harness.build(mixed);
  const second = await harness.build(mixed);
  expect(second.config.toString()).toBe(first.config.toString());
  expect(sandbox.commands).toEqual(["one", "two"]);
});

test("metadata that changes above cached layers keeps their times", async () => {
  const { harness } = await openWaitingBuild({ answer: () => ({}), clock: tickingClock() });
  const first = configOf(await harness.build("FROM base\nRUN one\nCMD a\n"));
  const second = configOf(await harness.build("FROM base\nRUN one\nCMD b\nLABEL c=d\n"));
  expect(second.created).toBe(first.created);
  expect(second.diffIds).toEqual(first.diffIds);
  expect(second.config).toMatchObject({ cmd: ["/bin/sh", "-c", "b"], labels: { c: "d" } });
});

test.for<[string, string, string]>([
  ["a base", "FROM base\nLABEL a=b\n", "2026-01-01T00:00:00Z"],
  ["nothing", "FROM scratch\nLABEL a=b\n", "1970-01-01T00:00:00.000Z"],
])("metadata alone on %s gives the same image at any time", async ([, dockerfile, time]) => {
  const { harness } = await openWaitingBuild({ clock: tickingClock() });
  const first = await harness.build(dockerfile);
  const second = await harness.build(dockerfile);
  expect(second.config.toString()).toBe(first.config.toString());
  expect(configOf(first).created).toBe(time);
  expect(configOf(first).history.at(-1)).toMatchObject({ created: time, emptyLayer: true });
});

test("layers of other stages are not in the image", async () => {
  const { harness } = await openWaitingBuild({
    answer: (name) => ({ write: { [name]: name } }),
  });
  const built = await harness.build(
    "FROM base AS tools\nRUN a\nRUN b\nFROM scratch\nCOPY --from=tools /b /\n",
  );
  expect(configOf(built).diffIds).toHaveLength(1);
  expect(configOf(built).history).toHaveLength(1);
});
