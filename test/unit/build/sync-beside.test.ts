import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { SyncBeside } from "../../../src/build/early-sync.ts";

const mebibyte = 1024 * 1024;

/** A RUN on a filesystem that holds as much as the test says. */
function start(before = 500 * mebibyte) {
  let use: number | undefined = before;
  let syncs = 0;
  const store = {
    tmpDir: "/nowhere",
    beginSync: () => {
      syncs += 1;
    },
  };
  const beside = new SyncBeside(store, () => use);
  onTestFinished(() => beside.stop());
  return {
    beside,
    syncs: () => syncs,
    holds: (more: number | undefined) => {
      use = more === undefined ? undefined : before + more * mebibyte;
    },
  };
}

afterEach(() => vi.useRealTimers());

test("the disk is told every 32 MiB that a RUN made, and not of what it removed again", () => {
  const { beside, holds, syncs } = start();
  const counts = [31, 32, 63, 20, 51, 52].map((more) => {
    holds(more);
    beside.look();
    return syncs();
  });
  expect(counts).toEqual([0, 1, 1, 1, 1, 2]);
});

test("a filesystem that does not tell is left alone", () => {
  const { beside, holds, syncs } = start();
  holds(undefined);
  beside.look();
  holds(100);
  beside.look();
  expect(syncs()).toBe(1);
});

test("it looks once a second, until it is stopped", () => {
  vi.useFakeTimers();
  const { beside, holds, syncs } = start();
  holds(40);
  vi.advanceTimersByTime(999);
  expect(syncs()).toBe(0);
  vi.advanceTimersByTime(1);
  expect(syncs()).toBe(1);
  holds(80);
  beside.stop();
  vi.advanceTimersByTime(5000);
  expect(syncs()).toBe(1);
});

test("the store's filesystem is asked where nobody tells otherwise", () => {
  let syncs = 0;
  const beside = new SyncBeside({ tmpDir: "/nowhere", beginSync: () => void (syncs += 1) });
  onTestFinished(() => beside.stop());
  beside.look();
  expect(syncs).toBe(0);
});
