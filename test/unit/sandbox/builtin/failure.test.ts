import { constants } from "node:os";
import { expect, test } from "vitest";
import { endOf } from "../../../../src/sandbox/builtin/command-end.ts";
import { failureOf } from "../../../../src/sandbox/builtin/failure.ts";
import type { Op } from "../../../../src/sandbox/builtin/ops.ts";
import type { SyscallName } from "../../../../src/sandbox/builtin/program.ts";

const { EACCES, ENOENT, ENOTDIR, ENOEXEC, EPERM, EISDIR, EINVAL } = constants.errno;
const exec: Op = { type: "exec", paths: ["/a/x", "/b/x"], argv: ["x"], env: [] };

function failure(op: Op, syscall: SyscallName, errno: number, notedErrnos: readonly number[] = []) {
  return failureOf({ origin: { op, syscall }, errno, notedErrnos });
}

test.each([
  ["nowhere", ENOENT, [ENOENT], "SANDBOX_EXEC_NOT_FOUND", 127],
  ["below a file", ENOTDIR, [], "SANDBOX_EXEC_NOT_FOUND", 127],
  ["forbidden, then nowhere", ENOENT, [EACCES], "SANDBOX_EXEC_NOT_EXECUTABLE", 126],
  ["forbidden", EACCES, [ENOENT], "SANDBOX_EXEC_NOT_EXECUTABLE", 126],
  ["no program", ENOEXEC, [], "SANDBOX_EXEC_FORMAT", 126],
])("a command that is %s", (_what, errno, noted, code, exitCode) => {
  expect(failure(exec, "execve", errno, noted)).toMatchObject({ code, details: { exitCode } });
});

test("a working directory that is not there", () => {
  expect(failure({ type: "chdir", path: "/w" }, "chdir", ENOENT)).toMatchObject({
    code: "SANDBOX_CWD_INVALID",
    details: { path: "/w", errno: "ENOENT", exitCode: 127 },
  });
});

test("a mount tells its target and the system call", () => {
  const op: Op = { type: "attach", from: "mount /c", target: "/c", follow: true };
  expect(failure(op, "openat2", EISDIR)).toMatchObject({
    code: "SANDBOX_MOUNT_FAILED",
    details: { target: "/c", syscall: "openat2", errno: "EISDIR" },
  });
});

test("a directory on a file, or the other way round, is told", () => {
  const op: Op = { type: "attach", from: "mount /c", target: "/c", follow: true };
  expect(failure(op, "move_mount", EINVAL).hint).toContain("look what /c is");
});

test("anything else is a failed set-up that names the op", () => {
  expect(failure({ type: "loopback-up" }, "ioctl", EPERM)).toMatchObject({
    code: "SANDBOX_SETUP_FAILED",
    details: { operation: "loopback-up", syscall: "ioctl", errno: "EPERM" },
  });
});

test.each([
  [0x0000, { exitCode: 0 }],
  [0x0300, { exitCode: 3 }],
  [0xff00, { exitCode: 255 }],
  [0x0009, { signal: "SIGKILL" }],
  [0x008b, { signal: "SIGSEGV" }], // with a core dump
  [0x0040, { signal: "SIG64" }],
])("wait status %i", (waitStatus, expected) => {
  expect(endOf({ type: "ended", waitStatus })).toEqual(expected);
});

test("a step whose supervisor vanished is lost", () => {
  expect(() => endOf({ type: "lost" })).toThrow(expect.objectContaining({ code: "SANDBOX_LOST" }));
});
