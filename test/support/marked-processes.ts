import { readdirSync, readFileSync, statSync } from "node:fs";
import { errnoOf } from "../../src/core/index.ts";

export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes of the whole machine whose environment or command line holds `mark`, zombies left out: how a test finds
 * what it started, however deep in whatever namespace. One of another user's whose environment is not ours to read counts as well,
 * unless it ran before: where root lacks CAP_SYS_PTRACE, better too many than one overlooked.
 */
export function findMarkedProcesses(mark: string): readonly MarkedProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = readProcFile(pid, "cmdline").replaceAll("\0", " ").trim();
      const isMarked = [command, readProcFile(pid, "environ")].some((text) => text.includes(mark));
      if (!isMarked && (hiddenBefore.has(pid) || !isHidden(pid))) return [];
      return [{ pid: Number(pid), command }];
    });
}

/** Not a process that has meanwhile ended: a zombie's environment is readable and empty. */
function isHidden(pid: string): boolean {
  try {
    readFileSync(`/proc/${pid}/environ`);
    return false;
  } catch (error) {
    return ["EACCES", "EPERM"].includes(errnoOf(error) ?? "") && isOfAnother(pid);
  }
}

function isOfAnother(pid: string): boolean {
  const uid = statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  return uid !== undefined && uid !== process.getuid?.();
}

const hiddenBefore = new Set(
  readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isHidden(name)),
);

/** Processes that `pid` has started and that still run, or have not been waited for. */
export function childrenOf(pid: number): readonly number[] {
  return readProcFile(String(pid), `task/${String(pid)}/children`)
    .split(" ")
    .filter((word) => word !== "")
    .map(Number);
}

/** Empty for a process that is gone (or a zombie: it has neither command line nor environment left). */
function readProcFile(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}
