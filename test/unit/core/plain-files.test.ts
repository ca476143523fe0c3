import { expect, test } from "vitest";
import { FileVersions, plainFile } from "../../../src/core/index.ts";

const version = {
  size: 2n ** 40n,
  mtimeNs: -1n,
  ctimeNs: 1_700_000_000_123_456_789n,
  inode: 2n ** 64n - 1n,
  device: 2n ** 63n,
};

test("versions are as they were set, as numbers and as bytes", () => {
  const versions = new FileVersions(2);
  versions.set(1, version);
  expect(versions.get(1)).toEqual(version);
  expect(versions.get(0).inode).toBe(0n);
  expect(versions.bytes.readBigInt64LE(40 + 16)).toBe(version.ctimeNs);
});

test("one file by its path and its looks", () => {
  const file = plainFile("/a/\u{ff}", { mode: 0o4755, mtime: 5_000_000_001n }, version);
  expect(file).toHaveLength(1);
  expect(file.directory).toEqual(Buffer.from("/a/"));
  expect(file.names).toEqual([Buffer.from([0xff])]);
  expect(file.pathOf(0)).toBe("/a/\u{ff}");
  expect([file.modes[0], file.sizes[0], file.seconds[0], file.nanoseconds[0]]).toEqual([
    0o4755,
    2 ** 40,
    5,
    1,
  ]);
  const old = plainFile("/a", { mode: 0, mtime: -1n }, version);
  expect([old.seconds[0], old.nanoseconds[0]]).toEqual([-1, 999_999_999]);
});
