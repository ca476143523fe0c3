import { readdir, readFile, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf } from "../../core/index.ts";
import { listHierarchies } from "./hierarchies.ts";

/**
 * Runtimes make a cgroup for every container, we for every step with limits. They are removed at its end, unless
 * somebody is killed before. Empty cgroups
 * harm nobody, but nobody else removes them either. Their names tell whose they are:
 * `tsbuild-<pid>-<start time of that process>-<step>`.
 */
const namePattern = /^tsbuild-(\d+)-(\d+)-\w+$/;

/** Name of the cgroup of step `step` of this process. */
export async function cgroupName(step: string): Promise<string> {
  return `tsbuild-${process.pid}-${await startTime(process.pid)}-${step}`;
}

/**
 * Removes the cgroup `name` wherever we or a runtime may have made it. All its processes are dead, though the kernel may need
 * a moment to see that.
 */
export async function removeCgroup(name: string, parent?: string): Promise<void> {
  for (const folder of await cgroupFolders(name, parent)) await removeEmptyCgroup(folder);
}

/** Where the cgroup `name` may be, in every hierarchy. */
export async function cgroupFolders(name: string, parent?: string): Promise<readonly string[]> {
  return (await cgroupPlaces(parent)).map((place) => join(place, name));
}

/** Removes what processes of ours left behind that were killed and are gone. */
export async function sweepCgroups(): Promise<void> {
  for (const place of await cgroupPlaces()) {
    for (const name of await readdir(place).catch(() => [])) {
      const [, pid, started] = namePattern.exec(name) ?? [];
      if (pid === undefined || (await startTime(Number(pid))) === started) continue;
      await removeEmptyCgroup(join(place, name));
    }
  }
}

/**
 * Directories in which our cgroups may have been made: in every hierarchy this process' own cgroup (runc), its parent
 * (runc on cgroup v2), the top (crun, youki), and the one that somebody asked for.
 */
async function cgroupPlaces(parent = "/"): Promise<readonly string[]> {
  const places = (await listHierarchies()).flatMap(({ point, own }) => [
    point,
    join(point, parent),
    join(point, dirname(own)),
    join(point, own),
  ]);
  return [...new Set(places)];
}

async function removeEmptyCgroup(path: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await rmdir(path);
      return;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "ENOTDIR") return;
      // Left for the next sweep: it takes no memory worth a failed build.
      if (errno !== "EBUSY" || attempt === 20) return;
      await sleep(5);
    }
  }
}

/** In clock ticks since boot: with the pid it names a process for good. undefined when there is none. */
async function startTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The command's name, in parentheses, may hold spaces and parentheses itself.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
