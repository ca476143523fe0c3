import { expect, test } from "vitest";
import { tsbuildBin } from "../support/cli.ts";
import { readEvents } from "../support/setup-progress.ts";
import { runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["script"] });
const { cli, context, expectCli } = workspace;
const dockerfile = "FROM BUSYBOX\nRUN echo out-$((40+2)); echo err-$((40+3)) >&2\nRUN true\n";
const escapes = new RegExp(String.fromCharCode(27));

test("plain: numbered lines, output with its step's number, DONE and CACHED", async () => {
  const folder = await context({ Dockerfile: dockerfile });
  const first = await expectCli(["--progress", "plain", "-t", "plain:1", folder]);
  const step = /^#(\d+) \[.*\] RUN echo/m.exec(first.stderr)?.[1] ?? "none";
  expect(first.stderr).toMatch(new RegExp(`^#${step} .*out-42$`, "m"));
  expect(first.stderr).toMatch(new RegExp(`^#${step} .*err-43$`, "m"));
  expect(first.stderr).toMatch(new RegExp(`^#${step} DONE \\d+\\.\\ds$`, "m"));
  expect(first.stderr).not.toMatch(escapes);
  const second = await expectCli(["--progress", "plain", "-t", "plain:1", folder]);
  const cached = /^#(\d+) \[.*\] RUN echo/m.exec(second.stderr)?.[1] ?? "none";
  expect(second.stderr).toMatch(new RegExp(`^#${cached} CACHED$`, "m"));
  expect(second.stderr).not.toContain("out-42");
});

test("auto without a terminal is plain", async () => {
  const folder = await context({ Dockerfile: dockerfile });
  const { stderr } = await expectCli(["-t", "auto:1", folder]);
  expect(stderr).toMatch(/^#\d+ \[.*\] RUN true$/m);
  expect(stderr).not.toMatch(escapes);
});

test("rawjson: one event a line, each step ends once, and the image comes last", async () => {
  const folder = await context({ Dockerfile: dockerfile });
  const args = ["--no-cache", "--progress", "rawjson", "-t", "raw:1", folder];
  const { stderr } = await expectCli(args);
  const lines = stderr.trimEnd().split("\n");
  const events = readEvents(stderr);
  expect(events).toHaveLength(lines.length);
  const ends = new Map<number, number>();
  for (const { type, step = 0 } of events) {
    if (/^step-(done|cached|failed|canceled)$/.test(type))
      ends.set(step, (ends.get(step) ?? 0) + 1);
  }
  const steps = new Set(events.flatMap(({ step }) => (step === undefined ? [] : [step])));
  expect([...ends.keys()].sort()).toEqual([...steps].sort());
  expect(new Set(ends.values())).toEqual(new Set([1]));
  expect(events.at(-1)?.type).toBe("image-ready");
});

test("tty: redraws in place on a terminal, and leaves the finished steps behind", async () => {
  const folder = await context({ Dockerfile: dockerfile });
  const command = `stty cols 120 rows 40; ${process.execPath} ${tsbuildBin} --no-cache --progress tty -t tty:1 ${folder}`;
  const env = { ...process.env, TSBUILD_ROOT: workspace.root, TERM: "xterm", NO_COLOR: undefined };
  const shown = await runProgram("script", ["-qec", command, "/dev/null"], { env });
  expect(shown).toMatch(escapes);
  expect(shown).toContain("RUN true");
});

test("a failed step's output is shown at the end in every mode", async () => {
  const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo why-$((1+1)); exit 4\n" });
  for (const mode of ["plain", "quiet", "auto"]) {
    const { code, stderr } = await cli(["--progress", mode, folder]);
    expect(code).toBe(1);
    expect(stderr).toContain("why-2");
    expect(stderr).toMatch(/exit code:? 4/);
  }
});
