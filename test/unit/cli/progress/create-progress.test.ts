import { expect, test } from "vitest";
import { createProgress, type ProgressMode } from "../../../../src/cli/progress/index.ts";

test.each<ProgressMode>(["plain", "tty", "rawjson"])(
  "%s: what reports after the end is not shown behind the error",
  (mode) => {
    let text = "";
    const stream = { write: (part: string) => (text += part) };
    const { listener, finish } = createProgress(mode, { stream, color: false });
    listener({ type: "step-started", step: 0, name: "slow lookup", time: 0 });
    finish("failure");
    const told = text;
    listener({ type: "step-failed", step: 0, code: "X", message: "no such host", time: 1 });
    listener({ type: "step-started", step: 1, name: "another", time: 1000 });
    expect(told).not.toBe("");
    expect(text).toBe(told);
  },
);
