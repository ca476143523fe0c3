import { readdir, readFile, rmdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf } from "../../core/index.ts";

/**
 * Runtimes make a cgroup for every container and remove it at its end, unless they are killed before. Empty cgroups
 * harm nobody, but nobody else removes them either. Their names tell whose they are:
 * `tsbuild-<pid>-<start time of that process>-<step>`.
 */
const namePattern = /^tsbuild-(\d+)-(\d+)-\w+$/;

/** Name of the cgroup of step `step` of this process. */
export async function cgroupName(step: string): Promise<string> {
  return `tsbuild-${process.pid}-${await startTime(process.pid)}-${step}`;
}

/**
 * Removes the cgroup `name` wherever a runtime may have made it. All its processes are dead, though the kernel may need
 * a moment to see that.
 */
export async function removeCgroup(name: string): Promise<void> {
  for (const place of await cgroupPlaces()) await removeEmptyCgroup(join(place, name));
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
 * Directories in which a runtime may have made our cgroups: in every hierarchy this process' own cgroup (runc), its
 * parent (runc on cgroup v2) and the top (crun, youki).
 */
async function cgroupPlaces(): Promise<readonly string[]> {
  const [mountinfo, memberships] = await Promise.all([
    readFile("/proc/self/mountinfo", "utf8"),
    readFile("/proc/self/cgroup", "utf8"),
  ]);
  const places = mountinfo.split("\n").flatMap((line) => {
    const mount = parseCgroupMount(line);
    if (mount === undefined) return [];
    const own = findMembership(memberships, mount.options);
    // In a container the mount shows only a part of the hierarchy, and the membership may be told from the top.
    const inside = own === undefined ? "" : relative(mount.root, own);
    if (inside === "" || inside.startsWith("..")) return [mount.point];
    return [mount.point, join(mount.point, dirname(inside)), join(mount.point, inside)];
  });
  return [...new Set(places)];
}

interface CgroupMount {
  readonly root: string;
  readonly point: string;
  /** Controllers of a v1 hierarchy, among options of no interest; undefined for v2. */
  readonly options: readonly string[] | undefined;
}

function parseCgroupMount(line: string): CgroupMount | undefined {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root = "/", point = ""] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  if (type === "cgroup") return { root, point, options: options.split(",") };
  return type === "cgroup2" ? { root, point, options: undefined } : undefined;
}

/** The cgroup of this process in the hierarchy that has the controllers `options` (v2: that has none). */
function findMembership(
  memberships: string,
  options: readonly string[] | undefined,
): string | undefined {
  for (const line of memberships.split("\n")) {
    const [, controllers = "", path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const matches =
      options === undefined
        ? controllers === ""
        : controllers !== "" && controllers.split(",").every((name) => options.includes(name));
    if (matches) return path;
  }
  return undefined;
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
