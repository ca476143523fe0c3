import { expect } from "vitest";

/** The work fails with a failure of this code. */
export async function expectCode(work: Promise<unknown>, code: string): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: "TsbuildError", code });
}
