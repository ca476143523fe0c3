import { readdirSync, readFileSync } from "node:fs";
import { errnoOf } from "../../src/core/index.ts";

export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes of the whole machine whose environment or command line holds `mark`, zombies left out: how a test finds
 * what it started, however deep in whatever namespace. One whose environment is not ours to read counts as well, as
 * every one of another user's does where root lacks CAP_SYS_PTRACE: better too many than one overlooked.
 */
export function findMarkedProcesses(mark: string): readonly MarkedProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = readProcFile(pid, "cmdline").replaceAll("\0", " ").trim();
      const isMarked = [command, readProcFile(pid, "environ")].some((text) => text.includes(mark));
      if (!isMarked && !isHidden(pid)) return [];
      return [{ pid: Number(pid), command }];
    });
}

/** Also not one of a process that has meanwhile ended, as a kernel thread's or a zombie's is readable and empty. */
function isHidden(pid: string): boolean {
  try {
    readFileSync(`/proc/${pid}/environ`);
    return false;
  } catch (error) {
    return ["EACCES", "EPERM"].includes(errnoOf(error) ?? "");
  }
}

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
