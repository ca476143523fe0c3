import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxUsage } from "../types.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** Controllers whose files tell something, in the words of v1. */
const telling = ["memory", "cpuacct"];

/** Whether a control group in this hierarchy tells what its processes take. */
export function tellsUsage({ controllers }: Hierarchy): boolean {
  return controllers === undefined || telling.some((name) => controllers.includes(name));
}

/**
 * What the processes of control groups took, of one step in several hierarchies. What no file tells is absent.
 * @see Linux, admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst
 */
export function readUsage(folders: readonly string[]): SandboxUsage {
  const peakMemory =
    firstNumber(folders, "memory.peak") ?? firstNumber(folders, "memory.max_usage_in_bytes");
  const nanoseconds = firstNumber(folders, "cpuacct.usage");
  const microseconds = firstNumber(folders, "cpu.stat", /^usage_usec (\d+)$/m);
  // Where both versions are mounted, only one of them has the processes; the other counts nothing.
  const cpuMs = Math.max((nanoseconds ?? 0) / 1e6, (microseconds ?? 0) / 1e3);
  return {
    ...(peakMemory === undefined || peakMemory === 0 ? {} : { peakMemory }),
    ...(cpuMs === 0 ? {} : { cpuMs }),
  };
}

function firstNumber(
  folders: readonly string[],
  file: string,
  pattern = /^(\d+)$/m,
): number | undefined {
  for (const folder of folders) {
    const found = pattern.exec(readIfThere(join(folder, file)))?.[1];
    if (found !== undefined) return Number(found);
  }
  return undefined;
}

/** A measurement that fails is none: nothing depends on it. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
