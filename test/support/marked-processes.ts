import { readdirSync, readFileSync } from "node:fs";

export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes of the whole machine whose environment or command line holds `mark`, zombies left out: how a test finds
 * what it started, however deep in whatever namespace. Needs root to see the environment of others.
 */
export function findMarkedProcesses(mark: string): readonly MarkedProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const command = readProcFile(pid, "cmdline").replaceAll("\0", " ").trim();
      if (!command.includes(mark) && !readProcFile(pid, "environ").includes(mark)) return [];
      return [{ pid: Number(pid), command }];
    });
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
