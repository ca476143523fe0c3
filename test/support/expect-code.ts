import { expect } from "vitest";
import { isTsbuildError, type TsbuildError } from "../../src/core/index.ts";

/** The work fails with a failure of this code. */
export async function expectCode(work: Promise<unknown>, code: string): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: "TsbuildError", code });
}

/** What the work fails with. @throws when it succeeds, and what is no failure of tsbuild's own */
export async function failureOf(work: Promise<unknown>): Promise<TsbuildError> {
  const error: unknown = await work.then(
    () => new Error("did not fail"),
    (reason: unknown) => reason,
  );
  if (isTsbuildError(error)) return error;
  throw error;
}

/** The same of work that waits for nothing. */
export function expectThrown(work: () => unknown, code: string): void {
  expect(work).toThrow(expect.objectContaining({ name: "TsbuildError", code }));
}
