import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createProgress, type Progress } from "../../../../src/cli/progress/index.ts";
import { digestOf, type ProgressEvent } from "../../../../src/core/index.ts";

let now: number;
let text: string;
let progress: Progress;

beforeEach(() => {
  vi.useFakeTimers();
  open();
});
afterEach(() => vi.useRealTimers());

function open(isTTY = false): void {
  now = 1_000_000;
  text = "";
  const stream = { isTTY, write: (part: string) => (text += part) };
  progress = createProgress("plain", { stream, now: () => now, color: true });
}

type Untimed<T> = T extends ProgressEvent ? Omit<T, "time"> : never;

function at(seconds: number, event: Untimed<ProgressEvent>): void {
  now = 1_000_000 + seconds * 1000;
  progress.listener({ ...event, time: now });
}

const start = (step: number, name: string, why?: string): Untimed<ProgressEvent> => ({
  type: "step-started",
  step,
  name,
  ...(why === undefined ? {} : { why }),
});
const out = (step: number, output: string): Untimed<ProgressEvent> => ({
  type: "step-output",
  step,
  stream: "stdout",
  bytes: Buffer.from(output),
});

test("why a step runs stands below its name, once", () => {
  at(0, start(1, "[1/2] RUN a", "a\nb: content changed"));
  at(0.1, start(2, "[2/2] RUN b", "first time"));
  at(0.2, out(1, "x\n"));
  at(1, { type: "step-done", step: 1 });
  at(2, { type: "step-done", step: 2 });
  progress.finish("success");
  expect(text).toBe(`#1 [1/2] RUN a
#1 why: a b: content changed
#1 0.200 x
#1 DONE 1.0s

#2 [2/2] RUN b
#2 why: first time
#2 DONE 1.9s
`);
});

test("steps one after another", () => {
  at(0, start(1, "[internal] load build definition"));
  at(0.04, { type: "step-done", step: 1 });
  at(0.1, { type: "step-cached", step: 2, name: "[1/3] FROM alpine" });
  at(0.2, start(3, "[2/3] RUN make"));
  at(0.3234, out(3, "cc -c a.c\ncc "));
  at(0.9, out(3, "-c b.c\nlast"));
  at(2.5, { type: "step-done", step: 3 });
  at(2.5, start(4, "[3/3] RUN false"));
  at(2.6, { type: "step-failed", step: 4, code: "BUILD_RUN_FAILED", message: "exit code:\n  1" });
  progress.finish("failure");
  expect(text).toBe(
    `#1 [internal] load build definition
#1 DONE 0.0s

#2 [1/3] FROM alpine
#2 CACHED

#3 [2/3] RUN make
#3 0.123 cc -c a.c
#3 0.123 cc -c b.c
#3 0.700 last
#3 DONE 2.3s

#4 [3/3] RUN false
#4 ERROR: exit code: 1
`,
  );
});

test("the floor is one step's; what others write waits for its end", () => {
  at(0, start(1, "[a 1/1] RUN a"));
  at(0, start(2, "[b 1/1] RUN b"));
  at(1, out(2, "b1\n"));
  at(2, out(1, "a1\n"));
  at(3, { type: "step-done", step: 2 });
  at(4, { type: "step-canceled", step: 1 });
  expect(text).toBe(
    `#1 [a 1/1] RUN a
#1 2.000 a1
#1 CANCELED

#2 [b 1/1] RUN b
#2 1.000 b1
#2 DONE 3.0s
`,
  );
});

test("a silent step gives the floor away after five seconds, and takes it again under its header", () => {
  at(0, start(1, "RUN a"));
  at(0, start(2, "RUN b"));
  at(1, out(1, "a1\n"));
  at(2, out(2, "b1\n"));
  at(5.9, out(2, "b2\n"));
  expect(text).not.toContain("b1");
  now = 1_006_000;
  vi.advanceTimersByTime(1_000);
  expect(text).toContain("#2 2.000 b1\n#2 5.900 b2\n");
  at(7, out(1, "a2\n"));
  at(8, { type: "step-done", step: 2 });
  at(9, { type: "step-done", step: 1 });
  expect(text).toBe(
    `#1 RUN a
#1 1.000 a1
#1 ...

#2 RUN b
#2 2.000 b1
#2 5.900 b2
#2 DONE 8.0s

#1 RUN a
#1 7.000 a2
#1 DONE 9.0s
`,
  );
});

test("numbers follow the order of showing, not the steps' own", () => {
  at(0, start(7, "RUN a"));
  at(0, start(3, "RUN b"));
  at(1, { type: "step-done", step: 7 });
  expect(text).toBe("#1 RUN a\n#1 DONE 1.0s\n\n#2 RUN b\n");
});

test("both streams keep their lines apart; characters may be split between chunks", () => {
  const euro = Buffer.from("€\n");
  at(0, start(1, "RUN a"));
  at(1, out(1, "out"));
  at(1, { type: "step-output", step: 1, stream: "stderr", bytes: euro.subarray(0, 1) });
  at(2, { type: "step-output", step: 1, stream: "stderr", bytes: euro.subarray(1) });
  at(3, out(1, " put\r\n"));
  at(4, { type: "step-done", step: 1 });
  expect(text).toBe("#1 RUN a\n#1 2.000 €\n#1 1.000 out put\n#1 DONE 4.0s\n");
});

test("amounts are told at first, now and then, and at the end", () => {
  const layer = (current: number, done = false): Untimed<ProgressEvent> => ({
    type: "step-progress",
    step: 1,
    item: "sha256:abc",
    current,
    total: 3_400_000,
    unit: "bytes",
    done,
  });
  at(0, start(1, "FROM alpine"));
  at(1, layer(0));
  at(2, layer(1_000_000));
  at(6.5, layer(2_000_000));
  at(7, layer(3_400_000, true));
  at(7, { type: "step-progress", step: 1, item: "files", current: 12, unit: "files", done: true });
  expect(text).toBe(
    `#1 FROM alpine
#1 sha256:abc 0B / 3.40MB
#1 sha256:abc 2.00MB / 3.40MB 5.5s
#1 sha256:abc 3.40MB / 3.40MB 6.0s done
#1 files 12 files done
`,
  );
});

describe("the end", () => {
  test("has the image, then the warnings [7.11]", () => {
    const imageId = digestOf("x");
    at(0, {
      type: "warning",
      code: "JSONArgsRecommended",
      message: "use JSON",
      location: { file: "Dockerfile", line: 3, column: 1 },
    });
    at(0, { type: "warning", code: "Other", message: "no place" });
    at(0, start(1, "RUN a"));
    at(1, { type: "step-done", step: 1 });
    at(1, { type: "image-ready", imageId, names: ["app:1.0", "app:latest"] });
    progress.finish("success");
    expect(text).toBe(
      `#1 RUN a
#1 DONE 1.0s

image ${imageId} is app:1.0, app:latest

 2 warnings found:
 - JSONArgsRecommended: use JSON (line 3)
 - Other: no place
`,
    );
  });

  test("loses nothing of steps that did not end", () => {
    at(0, start(1, "RUN a"));
    at(0, start(2, "RUN b"));
    at(1, out(2, "b1\nno line end"));
    progress.finish("failure");
    expect(text).toBe("#1 RUN a\n#1 ...\n\n#2 RUN b\n#2 1.000 b1\n#2 1.000 no line end\n");
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("a log gets the process' bytes, a terminal no control sequences", () => {
  for (const isTTY of [false, true]) {
    open(isTTY);
    at(0, start(1, "RUN a"));
    at(1, out(1, "\u001b[2J\u001b[31mred\n"));
    const shown = isTTY ? "\u001b[31mred\u001b[0m" : "\u001b[2J\u001b[31mred";
    expect(text).toBe(`#1 RUN a\n#1 1.000 ${shown}\n`);
  }
});
