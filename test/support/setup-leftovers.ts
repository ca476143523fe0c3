import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";

/** What a build or run left behind on the machine, each line for a person to read. */
export type Leftovers = readonly string[];

/**
 * Processes and mounts that belong to the state root: a process whose program or working root lies below it or whose
 * environment has `mark`, and any mount namespace that still shows a mount of it.
 */
export async function findLeftovers(root: string, mark?: string): Promise<Leftovers> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => ((await belongs(pid, root, mark)) ? describe(pid) : [])),
  );
  const mounts = await readOr(readFile("/proc/self/mountinfo", "utf8"));
  const mounted = mounts.split("\n").filter((line) => line.includes(root));
  return [...found.flat(), ...mounted.map((line) => `mount ${line}`)];
}

/**
 * Waits until nothing is left, at most `patience` milliseconds; returns what still is. What a killed process leaves the
 * kernel ends in its own time, which on a machine with other work may be seconds.
 */
export async function waitForNothingLeft(
  root: string,
  { mark, patience = 60_000 }: { mark?: string; patience?: number } = {},
): Promise<Leftovers> {
  for (const deadline = Date.now() + patience; ; await wait(50)) {
    const left = await findLeftovers(root, mark);
    if (left.length === 0 || Date.now() > deadline) return left;
  }
}

async function belongs(pid: string, root: string, mark: string | undefined): Promise<boolean> {
  if (pid === String(process.pid)) return false;
  const [exe, ownRoot, mounts, environment] = await Promise.all([
    readOr(readlink(`/proc/${pid}/exe`)),
    readOr(readlink(`/proc/${pid}/root`)),
    readOr(readFile(`/proc/${pid}/mountinfo`, "utf8")),
    readOr(readFile(`/proc/${pid}/environ`, "utf8")),
  ]);
  if (exe.startsWith(root) || ownRoot.startsWith(root) || mounts.includes(root)) return true;
  return mark !== undefined && environment.includes(mark);
}

async function describe(pid: string): Promise<string[]> {
  const status = await readOr(readFile(`/proc/${pid}/status`, "utf8"));
  // Gone meanwhile, or dead and waiting for a parent that does not look: neither holds anything.
  if (status === "" || /^State:\s*[ZX]/m.test(status)) return [];
  const command = await readOr(readFile(`/proc/${pid}/cmdline`, "utf8"));
  return [`process ${pid} ${command.replaceAll("\0", " ").trim()}`];
}

async function readOr(reading: Promise<string>): Promise<string> {
  try {
    return await reading;
  } catch {
    return ""; // The process has ended, or it is a kernel thread without such a file.
  }
}
