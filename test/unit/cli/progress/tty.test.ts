import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createProgress, type Progress } from "../../../../src/cli/progress/index.ts";
import { digestOf, type ProgressEvent } from "../../../../src/core/index.ts";
import { TerminalScreen } from "../../../support/terminal-screen.ts";

let now: number;
let screen: TerminalScreen;
let progress: Progress;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubEnv("TERM", "linux");
  open({ columns: 40, rows: 12 });
});
afterEach(() => {
  progress.finish("success");
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

function open(size: { columns: number; rows: number }): void {
  now = 1_000_000;
  screen = new TerminalScreen(size);
  progress = createProgress("auto", { stream: screen, now: () => now, color: false });
}

type Untimed<T> = T extends ProgressEvent ? Omit<T, "time"> : never;

function at(seconds: number, event: Untimed<ProgressEvent>): void {
  now = 1_000_000 + seconds * 1000;
  progress.listener({ ...event, time: now });
}

/** Lets one frame be drawn at that time, and tells what the screen shows. */
function shownAt(seconds: number): string {
  now = 1_000_000 + seconds * 1000;
  vi.advanceTimersByTime(100);
  return screen.text;
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

test("why a step runs stands behind its name while there is room", () => {
  at(0, start(1, "[1/2] RUN a", "first time"));
  at(0, start(2, "[2/2] RUN b", "src/a/long/path/to/it.ts: content changed"));
  expect(shownAt(1)).toBe(
    `[+] Building 1.0s (0/2)
 | [1/2] RUN a (first time)        1.0s
 | [2/2] RUN b (src/a/long/path/t… 1.0s
`,
  );
});

test("finished steps stay above, running ones are drawn in place", () => {
  at(0, { type: "step-cached", step: 1, name: "[1/3] FROM alpine" });
  at(0, start(2, "[2/3] RUN make"));
  at(0.5, out(2, "compiling\nlinking"));
  expect(shownAt(1)).toBe(
    ` + CACHED [1/3] FROM alpine        0.0s
[+] Building 1.0s (1/2)
 | [2/3] RUN make                  1.0s
   | compiling
   | linking
`,
  );
  at(2.25, { type: "step-done", step: 2 });
  at(2.3, start(3, "[3/3] COPY a b"));
  expect(shownAt(2.3)).toBe(
    ` + CACHED [1/3] FROM alpine        0.0s
 + [2/3] RUN make                  2.3s
[+] Building 2.3s (2/3)
 / [3/3] COPY a b                  0.0s
`,
  );
});

test("how each step ended can be seen without colours", () => {
  at(0, start(1, "RUN a"));
  at(0, start(2, "RUN b\n  c"));
  at(1, { type: "step-failed", step: 1, code: "BUILD_RUN_FAILED", message: "exit code: 1" });
  at(2, { type: "step-canceled", step: 2 });
  progress.finish("failure");
  expect(screen.text).toBe(
    ` x ERROR RUN a                     1.0s
 - CANCELED RUN b c                2.0s
[+] Building 2.0s (2/2) FAILED
`,
  );
});

test("what is counted stands below its step until it is done", () => {
  at(0, start(1, "FROM alpine"));
  const layer = { type: "step-progress", step: 1, item: "sha256:abc", unit: "bytes" } as const;
  at(0, { ...layer, current: 1_200_000, total: 3_400_000, done: false });
  expect(shownAt(1)).toContain("   | sha256:abc 1.20MB / 3.40MB\n");
  at(2, { ...layer, current: 3_400_000, total: 3_400_000, done: true });
  expect(shownAt(2)).not.toContain("sha256:abc");
});

test("long names and lines are cut, wide characters count twice", () => {
  open({ columns: 20, rows: 12 });
  at(0, start(1, "RUN 日本語日本語日本語"));
  at(0, out(1, "a line that is much too long\n"));
  expect(shownAt(0)).toBe(
    `[+] Building 0.0s …
 - RUN 日本語… 0.0s
   | a line that i…
`,
  );
});

test("the list never grows beyond the screen", () => {
  open({ columns: 40, rows: 6 });
  for (let step = 1; step <= 9; step++) at(0, start(step, `RUN ${String(step)}`));
  expect(shownAt(0).split("\n")).toEqual([
    "[+] Building 0.0s (0/9)",
    " - RUN 1                           0.0s",
    " - RUN 2                           0.0s",
    " - RUN 3                           0.0s",
    " and 6 more steps",
    "",
  ]);
});

test("several steps share the room for output, one has it alone", () => {
  const lines = "1\n2\n3\n4\n5\n6\n7\n";
  at(0, start(1, "RUN a"));
  at(0, start(2, "RUN b"));
  at(0, out(1, lines));
  at(0, out(2, lines));
  expect(shownAt(0).match(/ {3}\| \d/g)).toHaveLength(6);
  at(0, { type: "step-done", step: 2 });
  expect(shownAt(0).match(/ {3}\| \d/g)).toEqual(
    ["2", "3", "4", "5", "6", "7"].map((n) => `   | ${n}`),
  );
});

test("a terminal that becomes narrower or wider leaves no rests", () => {
  at(0, start(1, "RUN a"));
  at(0, out(1, "a line that fills the terminal well\n"));
  shownAt(0);
  screen.resize(20);
  expect(screen.text).toBe(
    `[+] Building 0.0s …
 - RUN a       0.0s
   | a line that f…
`,
  );
  screen.resize(60);
  expect(screen.text.split("\n")).toHaveLength(4);
  expect(screen.text).toContain("   | a line that fills the terminal well\n");
});

test("nothing is written while nothing changes, and a frame is one write", () => {
  at(0, start(1, "RUN a"));
  shownAt(0);
  const before = screen.writes.length;
  shownAt(0);
  expect(screen.writes.length).toBe(before);
  shownAt(0.1);
  expect(screen.writes.length).toBe(before + 1);
});

test("the cursor is hidden while something runs, and comes back", () => {
  expect(screen.cursorHidden).toBe(false);
  at(0, start(1, "RUN a"));
  shownAt(0);
  expect([screen.cursorHidden, screen.listeners]).toEqual([true, 1]);
  progress.finish("failure");
  expect([screen.cursorHidden, screen.listeners]).toEqual([false, 0]);
  expect(vi.getTimerCount()).toBe(0);
});

test("the cursor comes back when the process exits in the middle", () => {
  const before = process.listeners("exit");
  at(0, start(1, "RUN a"));
  shownAt(0);
  const added = process.listeners("exit").filter((listener) => !before.includes(listener));
  expect(added).toHaveLength(1);
  for (const listener of added) listener.call(process, 130);
  expect(screen.cursorHidden).toBe(false);
  progress.finish("failure");
  expect(process.listeners("exit")).toEqual(before);
});

test("control sequences of a process do not reach the terminal", () => {
  at(0, start(1, "RUN \u001b[2Jevil"));
  at(0, out(1, "\u001b[2J\u001b[10Aup\u001b]0;title\u0007\n"));
  // The screen refuses every sequence that is not ours.
  expect(shownAt(0)).toContain(" - RUN evil ");
  expect(screen.text).toContain("   | up\n");
});

test("the end tells the image and the warnings", () => {
  const imageId = digestOf("x");
  at(0, start(1, "RUN a"));
  at(1, { type: "step-done", step: 1 });
  at(1, {
    type: "warning",
    code: "Rule",
    message: "text",
    location: { file: "Dockerfile", line: 3, column: 1 },
  });
  at(1, { type: "image-ready", imageId, names: [] });
  progress.finish("success");
  expect(screen.writes.join("")).toContain(`image ${imageId}\u001b[K\n`);
  expect(screen.text).toContain("\n\n 1 warning found:\n - Rule: text (line 3)\n");
  expect(screen.text).toContain("[+] Building 1.0s (1/1) FINISHED\n");
});

test("NO_COLOR and a terminal without abilities are respected", () => {
  vi.stubEnv("NO_COLOR", "1");
  const colored = (): boolean => {
    const stream = new TerminalScreen({ columns: 80, rows: 24 });
    const other = createProgress("tty", { stream, now: () => now });
    other.listener({ type: "step-cached", step: 1, name: "a", time: now });
    other.finish("success");
    return stream.writes.join("").includes("\u001b[34m");
  };
  expect(colored()).toBe(false);
  vi.stubEnv("NO_COLOR", "");
  expect(colored()).toBe(true);
  vi.stubEnv("TERM", "dumb");
  open({ columns: 40, rows: 12 });
  at(0, start(1, "RUN a"));
  expect(screen.writes).toEqual(["#1 RUN a\n"]);
});

test("a terminal whose size nobody has set is taken for one of 80 columns", () => {
  open({ columns: 0, rows: 0 });
  at(0, start(1, "RUN a-command-that-is-a-bit-longer"));
  shownAt(1);
  expect(screen.writes.join("")).toContain("RUN a-command-that-is-a-bit-longer");
});
