import { expect, test } from "vitest";
import { OutputTail } from "../../../src/build/output-tail.ts";

test("short output is kept whole", () => {
  const tail = new OutputTail();
  tail.add(Buffer.from("one\n"));
  tail.add(Buffer.from("two\n"));
  expect(tail.text()).toBe("one\ntwo\n");
});

test("of long output the last whole lines are kept, in bounded memory", () => {
  const tail = new OutputTail();
  for (let line = 0; line < 20_000; line++) tail.add(Buffer.from(`line ${line}\n`));
  const text = tail.text();
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(text.endsWith("line 19998\nline 19999\n")).toBe(true);
  expect(text).toMatch(/^line \d+\n/);
});
