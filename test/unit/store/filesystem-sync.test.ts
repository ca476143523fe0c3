import { expect, test } from "vitest";
import { coreError } from "../../../src/core/index.ts";
import { FilesystemSync } from "../../../src/store/filesystem-sync.ts";

/** A disk whose writes end when the test says so. */
function slowDisk() {
  const writes: { end: () => void; fail: (error: Error) => void }[] = [];
  const sync = new FilesystemSync(
    async () =>
      new Promise((resolve, reject) => {
        writes.push({ end: resolve, fail: reject });
      }),
  );
  return { sync, writes };
}

/** Everything that can happen without the disk has happened. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("what is begun while a write is under way is begun once more behind it", async () => {
  const { sync, writes } = slowDisk();
  sync.begin();
  sync.begin();
  sync.begin();
  expect(writes).toHaveLength(1);
  writes[0]?.end();
  await settled();
  expect(writes).toHaveLength(2);
  writes[1]?.end();
  await settled();
  expect(writes).toHaveLength(2);
});

test("the end has a write of its own, which begins when it is asked for or later", async () => {
  const { sync, writes } = slowDisk();
  sync.begin();
  sync.begin();
  let isOver = false;
  const over = sync.finish().then(() => (isOver = true));
  writes[0]?.end();
  await settled();
  expect(writes).toHaveLength(2);
  expect(isOver).toBe(false);
  writes[1]?.end();
  await over;
  expect(writes).toHaveLength(2);
});

test("who asks for the end in the same turn shares it, who asks once it began does not", async () => {
  const { sync, writes } = slowDisk();
  expect(sync.shared).toBeUndefined();
  const ends = [sync.finish(), sync.finish()];
  const share = sync.shared;
  if (share === undefined) throw new Error("nobody has asked");
  ends.push(share());
  expect(writes).toHaveLength(0);
  await settled();
  expect(writes).toHaveLength(1);
  expect(sync.shared).toBeUndefined();
  const later = sync.finish();
  writes[0]?.end();
  await Promise.all(ends);
  await settled();
  expect(writes).toHaveLength(2);
  writes[1]?.end();
  await later;
});

test("a failure that the kernel told to somebody who did not wait is told at the end", async () => {
  const { sync, writes } = slowDisk();
  sync.begin();
  writes[0]?.fail(coreError("SYSCALL_FAILED", "input/output error"));
  await settled();
  const over = sync.finish();
  await settled();
  writes[1]?.end();
  await expect(over).rejects.toThrow("input/output error");
});

test("who asks whether something was lost waits for what is under way", async () => {
  const { sync, writes } = slowDisk();
  expect(await sync.hasFailed()).toBe(false);
  sync.begin();
  const hasFailed = sync.hasFailed();
  await settled();
  writes[0]?.fail(coreError("SYSCALL_FAILED", "input/output error"));
  expect(await hasFailed).toBe(true);
});

test.each([
  new Error("ENOENT"),
  coreError("SYSCALLS_UNAVAILABLE", "load the system call library koffi"),
])("a write that could not begin has lost nothing, and the end is a success: %s", async (error) => {
  const { sync, writes } = slowDisk();
  sync.begin();
  writes[0]?.fail(error);
  await settled();
  expect(await sync.hasFailed()).toBe(false);
  const over = sync.finish();
  await settled();
  writes[1]?.end();
  await expect(over).resolves.toBeUndefined();
});

test("whoever gives up waits for what is under way, and nothing begins after it", async () => {
  const { sync, writes } = slowDisk();
  sync.begin();
  sync.begin();
  const over = sync.settle();
  writes[0]?.end();
  await over;
  await settled();
  expect(writes).toHaveLength(1);
});
