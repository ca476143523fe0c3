import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

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

/** Waits until `mark` finds nothing any more; what is left after `timeoutMs`. */
export async function waitForNoMarkedProcesses(
  mark: string,
  timeoutMs: number,
): Promise<readonly MarkedProcess[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = findMarkedProcesses(mark);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(5);
  }
}

/** Empty for a process that is gone (or a zombie: it has neither command line nor environment left). */
function readProcFile(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}
