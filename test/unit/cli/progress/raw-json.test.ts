import { expect, test } from "vitest";
import { createProgress } from "../../../../src/cli/progress/index.ts";

function linesOf(mode: "rawjson" | "quiet" | "none"): string[] {
  let text = "";
  const progress = createProgress(mode, { stream: { write: (part) => (text += part) } });
  const output = { type: "step-output", step: 1, stream: "stdout", time: 2 } as const;
  progress.listener({ type: "step-started", step: 1, name: "RUN a", time: 1 });
  progress.listener({ ...output, bytes: Buffer.from("ä\n") });
  progress.listener({ ...output, bytes: Buffer.from([0x61, 0xc3]) });
  progress.listener({ type: "step-done", step: 1, time: 3 });
  progress.finish("success");
  return text.split("\n");
}

test("rawjson is one object a line, bytes as text where they are text", () => {
  expect(linesOf("rawjson")).toEqual([
    '{"type":"step-started","step":1,"name":"RUN a","time":1}',
    '{"type":"step-output","step":1,"stream":"stdout","time":2,"text":"ä\\n"}',
    '{"type":"step-output","step":1,"stream":"stdout","time":2,"base64":"YcM="}',
    '{"type":"step-done","step":1,"time":3}',
    "",
  ]);
});

test.each(["quiet", "none"] as const)("%s writes nothing", (mode) => {
  expect(linesOf(mode)).toEqual([""]);
});
