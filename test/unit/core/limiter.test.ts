import { expect, test } from "vitest";
import { createLimiter } from "../../../src/core/index.ts";

test("no more than the limit runs at once, and everything gets its turn in order", async () => {
  const limit = createLimiter(2);
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const gates = [0, 1, 2, 3].map(makeGate);
  const work = gates.map((gate, index) =>
    limit(async () => {
      started.push(index);
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
    }),
  );
  await Promise.resolve();
  expect(started).toEqual([0, 1]);
  for (const gate of gates) gate.resolve();
  await Promise.all(work);
  expect(started).toEqual([0, 1, 2, 3]);
  expect(most).toBe(2);
});

test("a failure frees its place", async () => {
  const limit = createLimiter(1);
  await expect(limit(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  await expect(limit(() => Promise.resolve("yes"))).resolves.toBe("yes");
});

function makeGate(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve: () => resolve() };
}
