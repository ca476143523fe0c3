import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

interface TimelineJson {
  readonly image?: string;
  readonly steps: readonly {
    readonly name: string;
    readonly outcome: string;
    readonly phases: readonly {
      readonly phase: string;
      readonly from: number;
      readonly to: number;
    }[];
    readonly peakMemory?: number;
    readonly cpuMs?: number;
    readonly layerBytes?: number;
    readonly movedBytes?: number;
  }[];
}

/** The figures in a page. */
async function readTimeline(path: string): Promise<TimelineJson> {
  const page = await readFile(path, "utf8");
  const json = /<script type="application\/json" id="timeline">(.*)<\/script>/s.exec(page)?.[1];
  return JSON.parse(json ?? "") as TimelineJson;
}

test("a timeline has pull, run, commit, compress and push, and what a RUN took", async () => {
  const file = join(await temporaryFolder(), "t.html");
  const image = `${workspace.registry.host}/timeline:1`;
  const place = await context({
    Dockerfile:
      "FROM BUSYBOX\nRUN i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo a >/a\nCOPY f /f\n",
    f: "f",
  });
  await expectCli(["-t", image, "--push", "--timeline", file, place]);
  const { steps, image: name } = await readTimeline(file);
  expect(name).toContain("timeline:1");
  const phasesOf = (part: string): readonly string[] =>
    steps.find((step) => step.name.includes(part))?.phases.map(({ phase }) => phase) ?? [];
  expect(phasesOf("FROM")).toEqual(["pull"]);
  expect(phasesOf("RUN i=0")).toEqual(["queue", "run", "commit"]);
  expect(phasesOf("COPY f")).toEqual(["queue", "run", "commit"]);
  expect(phasesOf("compressing")).toEqual(["compress"]);
  expect(phasesOf("pushing")).toEqual(["push"]);
  for (const { phases } of steps) {
    for (const { from, to } of phases) expect(to).toBeGreaterThanOrEqual(from);
  }
  const run = steps.find((step) => step.name.includes("RUN i=0"));
  expect(run?.layerBytes).toBeGreaterThan(0);
  // Where control groups cannot be made nothing is told; zero would be a lie.
  if (run?.cpuMs !== undefined) expect(run.cpuMs).toBeGreaterThan(1);
  if (run?.peakMemory !== undefined) expect(run.peakMemory).toBeGreaterThan(4096);
  expect(steps.find((step) => step.name.includes("COPY f"))?.cpuMs).toBeUndefined();
});

test("a build that fails has a timeline too, also for trace viewers", async () => {
  const file = join(await temporaryFolder(), "t.json");
  const place = await context({ Dockerfile: "FROM BUSYBOX\nRUN exit 3\n" });
  expect(errorCode(await cli(["--timeline", file, place]))).toBe("BUILD_RUN_FAILED");
  const { traceEvents } = JSON.parse(await readFile(file, "utf8")) as {
    readonly traceEvents: readonly { readonly name: string; readonly args?: object }[];
  };
  const failed = traceEvents.find((event) => /RUN exit 3/.test(event.name));
  expect(failed?.args).toMatchObject({ outcome: "failed" });
  expect(errorCode(await cli(["--timeline", "/no/such/t.html", place]))).toBe("OUTPUT_FAILED");
});

test("a graph tells before and after a build, in every format", async () => {
  const place = await context({
    Dockerfile: "FROM BUSYBOX AS a\nRUN true\nFROM a\nCOPY f /f\n",
    f: "f",
  });
  const graph = async (...args: string[]): Promise<string> =>
    (await expectCli(["graph", ...args, place])).stdout;
  const outcomes = async (): Promise<readonly string[]> => {
    const { nodes } = JSON.parse(await graph("--format", "json")) as {
      readonly nodes: readonly { readonly title: string; readonly outcome?: string }[];
    };
    return nodes.flatMap(({ title, outcome }) =>
      outcome === undefined ? [] : [`${outcome} ${title}`],
    );
  };
  expect(await outcomes()).toEqual([]);
  await expectCli(["-t", "graphed:1", place]);
  expect(await outcomes()).toEqual(["ran RUN true", "ran COPY f /f"]);
  await expectCli(["-t", "graphed:1", place]);
  expect(await outcomes()).toEqual(["cached RUN true", "cached COPY f /f"]);
  expect(await graph()).toMatch(/^<svg xmlns/);
  expect(await graph("--format", "dot")).toContain("digraph build {");
  expect(await graph("--format", "mermaid", "--target", "a")).not.toContain("COPY");
});
