import { expect, test } from "vitest";
import { buildError } from "../../../src/build/errors.ts";
import { StepLog } from "../../../src/build/steps.ts";
import { coreError, fixedClock, type ProgressEvent } from "../../../src/core/index.ts";

function openLog(): { readonly log: StepLog; readonly events: ProgressEvent[] } {
  const events: ProgressEvent[] = [];
  const clock = fixedClock(new Date(1234));
  return { log: new StepLog({ listener: (event) => events.push(event), clock }), events };
}

test("steps are numbered as they are first shown", () => {
  const { log, events } = openLog();
  log.cached("one");
  const two = log.start("two");
  log.cached("three");
  two.output("stderr", Buffer.from("text"));
  two.done();
  expect(events).toEqual([
    { type: "step-cached", step: 1, name: "one", time: 1234 },
    { type: "step-started", step: 2, name: "two", time: 1234 },
    { type: "step-cached", step: 3, name: "three", time: 1234 },
    { type: "step-output", step: 2, stream: "stderr", bytes: Buffer.from("text"), time: 1234 },
    { type: "step-done", step: 2, time: 1234 },
  ]);
});

test("work that succeeds is done, and its result handed on", async () => {
  const { log, events } = openLog();
  const result = await log.run("work", async (step) => {
    step.progress({ item: "layer", current: 1, total: 2, unit: "bytes", done: false });
    return Promise.resolve(7);
  });
  expect(result).toBe(7);
  expect(events.map(({ type }) => type)).toEqual(["step-started", "step-progress", "step-done"]);
});

test.for<[string, Error, object]>([
  [
    "with its code when it has one",
    buildError("BUILD_RUN_FAILED", "run it"),
    { type: "step-failed", code: "BUILD_RUN_FAILED", message: "run it" },
  ],
  [
    "as INTERNAL when it has none",
    new TypeError("oops"),
    { type: "step-failed", code: "INTERNAL", message: "oops" },
  ],
  [
    "as canceled when it was canceled",
    coreError("CANCELED", "build: canceled"),
    { type: "step-canceled" },
  ],
  [
    "as canceled when Node says so",
    Object.assign(new Error("The operation was aborted"), { name: "AbortError" }),
    { type: "step-canceled" },
  ],
])("a failure is told %s, and handed on as it is", async ([, error, event]) => {
  const { log, events } = openLog();
  await expect(log.run("work", () => Promise.reject(error))).rejects.toBe(error);
  expect(events).toEqual([
    { type: "step-started", step: 1, name: "work", time: 1234 },
    { ...event, step: 1, time: 1234 },
  ]);
});

test("a warning is no step", () => {
  const { log, events } = openLog();
  log.warn({ code: "ANY", message: "look out" });
  log.cached("first");
  expect(events).toEqual([
    { type: "warning", code: "ANY", message: "look out", time: 1234 },
    { type: "step-cached", step: 1, name: "first", time: 1234 },
  ]);
});
