import { expect, test } from "vitest";
import { openWaitingBuild } from "../support/build-harness.ts";

test("independent stages run at the same time [4.8]", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const building = harness.build(`
FROM base AS a
RUN one
FROM base AS b
RUN two
FROM base AS c
RUN three
FROM base AS d
RUN four
FROM scratch
COPY --from=a /one /
COPY --from=b /two /
COPY --from=c /three /
COPY --from=d /four /
`);
  const commands = ["one", "two", "three", "four"];
  await Promise.all(commands.map((command) => sandbox.started(command)));
  expect(sandbox.running.toSorted()).toEqual(commands.toSorted());
  for (const command of commands.toReversed())
    await sandbox.finish(command, { write: { [command]: command } });
  const { targets } = await building;
  expect(targets[0]?.diffIds).toHaveLength(4);
});

test("a base that two stages share runs once, and before both [4.9]", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const building = harness.build(`
FROM base AS shared
RUN bottom
FROM shared AS left
RUN left
FROM shared AS right
RUN right
FROM shared
COPY --from=left /left /
COPY --from=right /right /
RUN top
`);
  await sandbox.started("bottom");
  expect(sandbox.running).toEqual(["bottom"]);
  await sandbox.finish("bottom");
  await Promise.all([sandbox.started("left"), sandbox.started("right")]);
  await sandbox.finish("right", { write: { right: "" } });
  await sandbox.finish("left", { write: { left: "" } });
  await sandbox.finish("top");
  await building;
  expect(sandbox.commands.toSorted()).toEqual(["bottom", "left", "right", "top"]);
  expect(sandbox.commands[0]).toBe("bottom");
  expect(sandbox.commands[3]).toBe("top");
});

test("the same step in two stages runs once [4.8]", async () => {
  const { harness, sandbox } = await openWaitingBuild({ answer: () => ({ write: { out: "" } }) });
  await harness.build(`
FROM base AS a
RUN same
RUN only-a
FROM base AS b
RUN same
FROM base
COPY --from=a /out /a
COPY --from=b /out /b
`);
  expect(sandbox.commands).toEqual(["same", "only-a"]);
});

test("steps that turn out to be the same on the way run once, and both are told [4.8]", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const dockerfile = `
FROM base AS a
RUN one way
RUN same
FROM base AS b
RUN another way
RUN same
FROM base
COPY --from=a /out /a
COPY --from=b /out /b
`;
  const building = harness.build(dockerfile);
  await sandbox.finish("one way", { write: { made: "equal" } });
  await sandbox.finish("another way", { write: { made: "equal" } });
  await sandbox.finish("same", { write: { out: "" } });
  const first = await building;
  expect(sandbox.commands.filter((command) => command === "same")).toHaveLength(1);
  expect(
    harness
      .timeline()
      .filter((line) => line.endsWith("RUN same"))
      .toSorted(),
  ).toEqual([
    expect.stringMatching(/^cached \[/),
    expect.stringMatching(/^done \[/),
    expect.stringMatching(/^started \[/),
  ]);
  expect(first.steps.map(({ name, outcome }) => `${outcome} ${name}`)).toContainEqual(
    expect.stringMatching(/^cached \[. 3\/3\] RUN same/),
  );

  const second = await harness.build(dockerfile);
  expect(second.config).toEqual(first.config);
  expect(harness.steps("step-started")).toEqual([]);
  expect(second.written).toEqual([]);
});

test("inside a stage each step works on what the one before it made [4.8]", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const building = harness.build("FROM base\nRUN first\nWORKDIR /app\nRUN second\nRUN third\n");
  const [base] = (await harness.kept()).snapshots;
  for (const command of ["first", "second", "third"]) {
    await sandbox.started(command);
    expect(sandbox.running).toEqual([command]);
    await sandbox.finish(command, { write: { [command]: "" } });
  }
  await building;
  expect(sandbox.commands).toEqual(["first", "second", "third"]);
  expect(sandbox.specs.map(({ cwd }) => cwd)).toEqual(["/", "/app", "/app"]);
  const layers = sandbox.specs.map(({ rootfs }) =>
    // The topmost is the new layer, the lowest the mount points'.
    rootfs.type === "overlay" ? rootfs.lower.length : undefined,
  );
  expect(layers).toEqual([2, 4, 5]);
  expect((await harness.kept()).snapshots).toContain(base);
});

test("a command gets what the stage says, and proxies on top", async () => {
  const { harness, sandbox } = await openWaitingBuild({ answer: () => ({}) });
  await harness.build(
    'FROM base\nARG EDITION\nENV LANG=C\nUSER 7:8\nWORKDIR /w\nRUN --network=none ["a", "b c"]\n',
    { buildArgs: { EDITION: "free", http_proxy: "http://proxy.test" } },
  );
  expect(sandbox.specs[0]).toMatchObject({
    argv: ["a", "b c"],
    env: [
      "PATH=/bin",
      "EDITION=free",
      "LANG=C",
      "HTTP_PROXY=http://proxy.test",
      "http_proxy=http://proxy.test",
      "HOME=/",
    ],
    cwd: "/w",
    user: { uid: 7, gid: 8, groups: [8] },
    network: "none",
    hostname: "buildkitsandbox",
    security: "sandbox",
  });
});

const pruned = `
FROM base AS tools
RUN make tools
FROM base AS wanted
RUN make wanted
FROM base AS unused
RUN make unused
FROM unused
COPY --from=tools /tools /
`;

test("what the target does not reach never starts [4.2]", async () => {
  const { harness, sandbox } = await openWaitingBuild({ answer: () => ({}) });
  await harness.build(pruned, { target: "wanted" });
  expect(sandbox.commands).toEqual(["make wanted"]);
  expect(harness.timeline()).toEqual([
    "cached [wanted 1/2] FROM docker.io/library/base:latest",
    "started [wanted 2/2] RUN make wanted",
    "done [wanted 2/2] RUN make wanted",
  ]);
});

test("steps are numbered in the order in which they are first shown, output lies between start and end", async () => {
  const { harness, sandbox } = await openWaitingBuild();
  const building = harness.build(`
FROM base AS a
RUN one
FROM base AS b
RUN two
FROM base
COPY --from=a /f /a
COPY --from=b /f /b
`);
  await Promise.all([sandbox.started("one"), sandbox.started("two")]);
  await sandbox.print("two", "2a ");
  await sandbox.print("one", "1 ");
  await sandbox.print("two", "2b ");
  await sandbox.finish("two", { output: "2c", write: { f: "" } });
  await sandbox.finish("one", { write: { f: "" } });
  await building;

  const numbers = harness.events.flatMap((event) => ("name" in event ? [event.step] : []));
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  const lives = new Map<number, string[]>();
  for (const event of harness.events) {
    if (!("step" in event)) continue;
    lives.set(event.step, [...(lives.get(event.step) ?? []), event.type.replace("step-", "")]);
  }
  for (const [start, ...rest] of lives.values()) {
    const outputs = rest.slice(0, -1);
    expect(new Set(outputs)).toEqual(new Set(outputs.length === 0 ? [] : ["output"]));
    expect(start === "cached" ? rest : [start, rest.at(-1)]).toEqual(
      start === "cached" ? [] : ["started", "done"],
    );
  }
  const texts = new Map<string, string>();
  const names = new Map(harness.events.flatMap((e) => ("name" in e ? [[e.step, e.name]] : [])));
  for (const event of harness.events) {
    if (event.type !== "step-output") continue;
    const name = names.get(event.step) ?? "?";
    texts.set(name, (texts.get(name) ?? "") + Buffer.from(event.bytes).toString());
  }
  expect([...texts].toSorted()).toEqual([
    ["[a 2/2] RUN one", "1 "],
    ["[b 2/2] RUN two", "2a 2b 2c"],
  ]);
});
