import type { TsbuildError } from "../../core/index.ts";
import type { ProgramOutcome } from "../builtin/run-program.ts";
import { sandboxError, type SandboxErrorCode } from "../errors.ts";

interface Wording {
  readonly pattern: RegExp;
  readonly code: SandboxErrorCode;
  readonly exitCode?: number;
}

/**
 * How runtimes word the failures that have a code of their own, most telling first. Text is all that they give: the
 * runtime spec defines neither exit codes nor errors. (runc: Go's "exec:" errors; crun and youki: their own.)
 */
const wordings: readonly Wording[] = [
  {
    pattern: /executable file .*not found in \$PATH|executable '.*' (?:for container )?not found/i,
    code: "SANDBOX_EXEC_NOT_FOUND",
    exitCode: 127,
  },
  { pattern: /\bexec:? .*exec format error/i, code: "SANDBOX_EXEC_FORMAT", exitCode: 126 },
  {
    pattern: /\bexec:? .*(?:permission denied|is a directory)/i,
    code: "SANDBOX_EXEC_NOT_EXECUTABLE",
    exitCode: 126,
  },
  {
    pattern: /\bexec:? .*no such file or directory/i,
    code: "SANDBOX_EXEC_NOT_FOUND",
    exitCode: 127,
  },
  {
    pattern: /open executable: permission denied/i,
    code: "SANDBOX_EXEC_NOT_EXECUTABLE",
    exitCode: 126,
  },
  { pattern: /\bchdir\b|\bcwd\b/i, code: "SANDBOX_CWD_INVALID", exitCode: 127 },
  { pattern: /error mounting|\bmount\b/i, code: "SANDBOX_MOUNT_FAILED" },
];

/**
 * The failure that the runtime's JSON log tells, as an error of ours; undefined when the log holds none, so that the
 * exit code is the command's own.
 */
export function readRuntimeFailure(log: string, runtime: string): TsbuildError | undefined {
  const message = log
    .split("\n")
    .map(parseLine)
    .findLast((line) => line?.level === "error" || line?.level === "fatal")?.message;
  return message === undefined ? undefined : explainFailure(message, runtime);
}

/**
 * A failure that the log does not hold. Either the runtime started nothing and gave no reason (a full disk); or it found
 * a command that the kernel then did not execute (a file that is no program, a script without its interpreter): runc has
 * closed its log by then, so that it says so as the step's own stderr and ends with exit code 1. Nothing but exactly
 * this line counts.
 */
export function readStartFailure(options: {
  /** The beginning of the output of both streams. */
  readonly output: string;
  readonly outcome: ProgramOutcome;
  readonly runtime: string;
}): TsbuildError | undefined {
  const { output, outcome, runtime } = options;
  if (outcome.type === "failed" && outcome.failure.origin.op.type === "wait-child") {
    return explainFailure(output.trim() || "it started nothing", runtime);
  }
  const line =
    /^exec \S+: (?:exec format error|no such file or directory|permission denied)\n$/.exec(output);
  if (outcome.type !== "ended" || outcome.waitStatus !== 1 << 8 || line === null) return undefined;
  return explainFailure(output.trim(), runtime);
}

function explainFailure(message: string, runtime: string): TsbuildError {
  const wording = wordings.find(({ pattern }) => pattern.test(message));
  const { exitCode } = wording ?? {};
  return sandboxError(
    wording?.code ?? "SANDBOX_SETUP_FAILED",
    `run a step with ${runtime}: ${message}`,
    { details: { runtime, ...(exitCode === undefined ? {} : { exitCode }) } },
  );
}

function parseLine(line: string): { level: string; message: string } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    return typeof level === "string" && typeof msg === "string"
      ? { level, message: msg }
      : undefined;
  } catch {
    // A line that was cut off by the runtime's death.
    return undefined;
  }
}
