import { describe, expect, test } from "vitest";
import type { ProgramOutcome } from "../../../../src/sandbox/builtin/run-program.ts";
import { readRuntimeFailure, readStartFailure } from "../../../../src/sandbox/oci/runtime-log.ts";

const logLine = (level: string, msg: string): string =>
  `${JSON.stringify({ level, msg, time: "2026-01-01T00:00:00Z" })}\n`;
const ended = (exitCode: number): ProgramOutcome => ({ type: "ended", waitStatus: exitCode << 8 });

describe("the runtime's log", () => {
  test.each([
    ['exec: "nope": executable file not found in $PATH', "SANDBOX_EXEC_NOT_FOUND", 127],
    ['exec: "/a/b": stat /a/b: no such file or directory', "SANDBOX_EXEC_NOT_FOUND", 127],
    [
      "executable file `nope` not found in $PATH: No such file or directory",
      "SANDBOX_EXEC_NOT_FOUND",
      127,
    ],
    ['exec: "/etc": permission denied', "SANDBOX_EXEC_NOT_EXECUTABLE", 126],
    ['exec: "/etc": is a directory', "SANDBOX_EXEC_NOT_EXECUTABLE", 126],
    ["open executable: Permission denied", "SANDBOX_EXEC_NOT_EXECUTABLE", 126],
    ['chdir to cwd ("/x") set in config.json failed: not a directory', "SANDBOX_CWD_INVALID", 127],
    [
      'error mounting "/a" to rootfs at "/b": no such file or directory',
      "SANDBOX_MOUNT_FAILED",
      undefined,
    ],
    ["cgroups in hybrid mode not supported", "SANDBOX_SETUP_FAILED", undefined],
  ])("%j is %s", (message, code, exitCode) => {
    const error = readRuntimeFailure(logLine("error", `run failed: ${message}`), "runc");
    expect(error?.code).toBe(code);
    expect(error?.details["exitCode"]).toBe(exitCode);
    expect(error?.details["runtime"]).toBe("runc");
  });

  test("the last error counts; warnings and broken lines do not", () => {
    const log = [
      logLine("error", "first"),
      logLine("error", 'exec: "x": permission denied'),
      logLine("warning", 'exec: "x": executable file not found in $PATH'),
      '{"level":"error","msg":"cut o',
    ].join("");
    expect(readRuntimeFailure(log, "runc")?.code).toBe("SANDBOX_EXEC_NOT_EXECUTABLE");
  });

  test.each(["", logLine("warning", "no"), "not json\n", '{"level":"error"}\n'])(
    "%j holds no failure",
    (log) => {
      expect(readRuntimeFailure(log, "runc")).toBeUndefined();
    },
  );
});

describe("a start that failed after the log was closed", () => {
  const read = (output: string, outcome: ProgramOutcome) =>
    readStartFailure({ output, outcome, runtime: "runc" });

  test("the kernel did not execute the command", () => {
    expect(read("exec /a: exec format error\n", ended(1))?.code).toBe("SANDBOX_EXEC_FORMAT");
    expect(read("exec /a: no such file or directory\n", ended(1))?.code).toBe(
      "SANDBOX_EXEC_NOT_FOUND",
    );
  });

  test.each<[string, ProgramOutcome]>([
    ["exec /a: exec format error\n", ended(2)],
    ["exec /a: exec format error\n", ended(0)],
    ["exec /a: exec format error\n", { type: "ended", waitStatus: 1 }],
    ["exec /a: exec format error\nand more\n", ended(1)],
    ["sh: exec /a: no such file or directory\n", ended(1)],
    ["", ended(1)],
  ])("%j with %j is the command's own doing", (output, outcome) => {
    expect(read(output, outcome)).toBeUndefined();
  });

  test("the runtime started nothing", () => {
    const op = { type: "wait-child", report: true } as const;
    const failure = {
      origin: { op, syscall: "wait4", attempt: 0 },
      errno: 10,
      notedErrnos: [],
    } as const;
    expect(read("", { type: "failed", failure })?.code).toBe("SANDBOX_SETUP_FAILED");
  });
});
