import { expect, test } from "vitest";
import { Holder, HoldLost } from "../../../bench/measure/hold.ts";

const never = new AbortController().signal;

test("a hold that lasts is confirmed, and released as often as one likes", async () => {
  const holder = new Holder(["env"], never);
  await holder.ensure();
  holder.confirm();
  await holder.ensure();
  await holder.release();
  await holder.release();
});

test("a hold that ended by itself is told, and can be taken anew", async () => {
  const holder = new Holder(["sh", "-c", "echo held"], never);
  await holder.ensure();
  await expect.poll(() => isLost(holder)).toBe(true);
  await holder.release();
  expect(isLost(holder)).toBe(false);
});

test("a prefix that does not start is an error, and none holds nothing", async () => {
  await expect(new Holder(["false"], never).ensure()).rejects.toThrow("false: ended with 1");
  const holder = new Holder([], never);
  await holder.ensure();
  holder.confirm();
  await holder.release();
});

function isLost(holder: Holder): boolean {
  try {
    holder.confirm();
    return false;
  } catch (error) {
    if (error instanceof HoldLost) return true;
    throw error;
  }
}
