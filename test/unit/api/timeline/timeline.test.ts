import { describe, expect, test } from "vitest";
import { collectTimeline } from "../../../../src/api/timeline/collect-timeline.ts";
import { axisTicks, drawPage, formatBytes } from "../../../../src/api/timeline/draw-page.ts";
import { toTraceEvents } from "../../../../src/api/timeline/trace-events.ts";
import { StepLog } from "../../../../src/build/index.ts";
import type { ProgressEvent } from "../../../../src/core/index.ts";

/** A clock that stands still until it is set. */
function makeClock() {
  let time = 1000;
  return {
    clock: { now: () => new Date(time) },
    now: () => time,
    pass: (ms: number) => {
      time += ms;
    },
  };
}

/** A build of one cached step, one that waits, runs and becomes a layer, one that fails, and one that never ends. */
async function buildTimeline() {
  const { clock, now, pass } = makeClock();
  const collector = collectTimeline(now);
  const steps = new StepLog({ listener: collector.listener, clock, isMeasured: true });
  steps.cached("[1/3] FROM a");
  const waitingSince = now();
  pass(100);
  await steps.run({ name: '[2/3] RUN <b> "x"', why: "first time", waitingSince }, async (step) => {
    await step.phase("run", async () => {
      pass(2000);
      step.usage({ peakMemory: 5 * 1024 * 1024, cpuMs: 1500 });
      return Promise.resolve();
    });
    await step.phase("commit", async () => Promise.resolve(pass(300)));
    step.usage({ layerBytes: 2048 });
  });
  steps.start("never ends");
  await steps
    .run({ name: "pushing x", phase: "push" }, async (step) => {
      step.progress({ item: "a", current: 10, unit: "bytes", done: false });
      step.progress({ item: "a", current: 70, unit: "bytes", done: true });
      step.progress({ item: "b", current: 30, unit: "bytes", done: true });
      pass(50);
      return Promise.reject(new Error("no"));
    })
    .catch(() => undefined);
  return collector.finish();
}

describe("a timeline", () => {
  test("has every step with its phases, and what it took", async () => {
    expect(await buildTimeline()).toEqual({
      from: 1000,
      to: 3450,
      warnings: 0,
      steps: [
        { name: "[1/3] FROM a", outcome: "cached", from: 1000, to: 1000, phases: [] },
        {
          name: '[2/3] RUN <b> "x"',
          why: "first time",
          outcome: "done",
          from: 1000,
          to: 3400,
          phases: [
            { phase: "queue", from: 1000, to: 1100 },
            { phase: "run", from: 1100, to: 3100 },
            { phase: "commit", from: 3100, to: 3400 },
          ],
          peakMemory: 5 * 1024 * 1024,
          cpuMs: 1500,
          layerBytes: 2048,
        },
        {
          name: "never ends",
          outcome: "canceled",
          from: 3400,
          to: 3450,
          phases: [{ phase: "other", from: 3400, to: 3450 }],
        },
        {
          name: "pushing x",
          outcome: "failed",
          from: 3400,
          to: 3450,
          phases: [{ phase: "push", from: 3400, to: 3450 }],
          movedBytes: 100,
        },
      ],
    });
  });

  test("is only measured where somebody asks", async () => {
    const { clock, now } = makeClock();
    const events: ProgressEvent[] = [];
    const steps = new StepLog({ listener: (event) => events.push(event), clock });
    await steps.run({ name: "a", waitingSince: now(), phase: "pull" }, async (step) => {
      expect(step.isMeasured).toBe(false);
      step.usage({ cpuMs: 1 });
      return step.phase("run", () => Promise.resolve());
    });
    expect(events.map(({ type }) => type)).toEqual(["step-started", "step-done"]);
  });

  test("as a page: bars at their places, empty cells where nothing was measured, figures as JSON", async () => {
    const timeline = await buildTimeline();
    const page = drawPage(timeline);
    expect(page).toContain("[2/3] RUN &lt;b&gt; &quot;x&quot;");
    expect(page).toContain('class="run" style="left:4.082%;width:81.633%" title="run: 2 s"');
    expect(page).toContain("<td>2.4 s</td><td>5.0 MiB</td><td>1.5 s</td><td>2.0 KiB</td>");
    expect(page).toMatch(/<td>50 ms <em>failed<\/em><\/td><td><\/td><td><\/td><td>100 B<\/td>/);
    const json = /<script type="application\/json" id="timeline">(.*)<\/script>/s.exec(page)?.[1];
    expect(JSON.parse(json ?? "")).toEqual(timeline);
    expect(page).not.toMatch(/src=|href=|@import|url\(/);
    expect(page.match(/<script/g)).toHaveLength(1);
  });

  test("as trace events: a row a step, a slice a phase, in microseconds", async () => {
    const { traceEvents } = toTraceEvents(await buildTimeline()) as {
      readonly traceEvents: readonly Readonly<Record<string, unknown>>[];
    };
    expect(traceEvents).toContainEqual({
      ...{ name: "run", cat: "phase", ph: "X", pid: 1, tid: 2, ts: 100_000, dur: 2_000_000 },
    });
    expect(traceEvents.filter(({ cat }) => cat === "step")).toHaveLength(4);
  });
});

test("the axis has few and round ticks, whatever the time", () => {
  for (const duration of [0, 1, 7, 99, 1234, 60_000, 3_600_000, 86_400_000]) {
    const ticks = axisTicks(duration);
    expect(ticks.length).toBeGreaterThan(0);
    expect(ticks.length).toBeLessThanOrEqual(9);
    expect(ticks[0]).toBe(0);
  }
  expect(axisTicks(2450)).toEqual([0, 500, 1000, 1500, 2000]);
});

test("bytes in words", () => {
  expect([0, 999, 1000, 1536, 20 * 1024 ** 2, 999 * 1024 ** 3].map(formatBytes)).toEqual([
    ...["0 B", "999 B", "1.0 KiB", "1.5 KiB", "20 MiB", "999 GiB"],
  ]);
});
