import { readFile } from "node:fs/promises";
import { relative } from "node:path";

/** A tree of control groups as this process sees it. */
export interface Hierarchy {
  /** Where it is mounted. */
  readonly point: string;
  /** This process' own cgroup, below `point`; `/` also when it lies outside of what is mounted. */
  readonly own: string;
  /** Options of a v1 mount, the controllers among them; undefined for v2, which has all. */
  readonly controllers: readonly string[] | undefined;
}

export async function listHierarchies(): Promise<readonly Hierarchy[]> {
  const [mountinfo, memberships] = await Promise.all([
    readFile("/proc/self/mountinfo", "utf8"),
    readFile("/proc/self/cgroup", "utf8"),
  ]);
  return mountinfo.split("\n").flatMap((line) => {
    const mount = parseCgroupMount(line);
    if (mount === undefined) return [];
    const { point, controllers } = mount;
    // In a container the mount shows only a part of the hierarchy, and the membership may be told from the top.
    const path = relative(mount.root, findMembership(memberships, controllers) ?? mount.root);
    return [{ point, own: path.startsWith("..") ? "/" : `/${path}`, controllers }];
  });
}

function parseCgroupMount(
  line: string,
): { root: string; point: string; controllers: readonly string[] | undefined } | undefined {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root = "/", point = ""] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  if (type === "cgroup") return { root, point, controllers: options.split(",") };
  return type === "cgroup2" ? { root, point, controllers: undefined } : undefined;
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
