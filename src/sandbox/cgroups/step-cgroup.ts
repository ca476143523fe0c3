import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf } from "../../core/index.ts";
import type { CgroupSpec, SandboxUsage } from "../types.ts";
import { listControls, type Control } from "./controls.ts";
import { listHierarchies, type Hierarchy } from "./hierarchies.ts";
import { cgroupName, removeCgroup, sweepCgroups } from "./leftovers.ts";
import { readUsage, tellsUsage } from "./usage.ts";

/** A control group for one step, in every hierarchy that has to do with what is asked for. */
export interface StepCgroup {
  /** What this machine does not allow, one line each. */
  readonly problems: readonly string[];
  /** Puts a process into it; what that starts from now on is in it too. */
  join(pid: number): void;
  /** What its processes took, when they are gone; empty unless it was asked for. */
  usage(): SandboxUsage;
  /** When its processes are gone. */
  remove(): Promise<void>;
}

/** Never fails: a limit that cannot be set is told in `problems`, and the step runs without it. */
export async function makeStepCgroup(
  spec: CgroupSpec,
  { isMeasured = false }: { readonly isMeasured?: boolean | undefined } = {},
): Promise<StepCgroup> {
  await sweepCgroups();
  const name = await cgroupName(randomBytes(6).toString("hex"));
  const problems: string[] = [];
  const folders: string[] = [];
  const attemptOrTell = (what: string, work: () => void): boolean => {
    try {
      work();
      return true;
    } catch (error) {
      problems.push(`${what}: ${errnoOf(error) ?? String(error)}`);
      return false;
    }
  };
  const quiet = new Set<string>();
  const hierarchies = await listHierarchies();
  const controls = listControls(spec, hierarchies);
  for (const { control } of controls.missing) problems.push(`${control}: no such controller here`);
  for (const [hierarchy, wanted] of controls.byHierarchy) {
    const isLimited = wanted.length > 0 || spec.parent !== undefined;
    if (!isLimited && !(isMeasured && tellsUsage(hierarchy))) continue;
    // Nobody misses a group that was only to tell something.
    const attempt = isLimited ? attemptOrTell : attemptQuietly;
    const parent = join(hierarchy.point, spec.parent ?? parentOf(hierarchy));
    const folder = join(parent, name);
    const isMade = attempt(`make control group ${folder}`, () => {
      mkdirSync(parent, { recursive: true });
      if (hierarchy.controllers === undefined) delegate(parent, wanted);
      if (hierarchy.controllers === undefined && isMeasured) delegateMemory(parent);
      mkdirSync(folder);
      if (hierarchy.controllers?.includes("cpuset") === true) inheritCpuset(folder);
    });
    if (!isMade) continue;
    folders.push(folder);
    if (!isLimited) quiet.add(folder);
    for (const { file, value } of wanted) {
      attempt(`set ${file} to ${value}`, () => writeFileSync(join(folder, file), value));
    }
  }
  return {
    problems,
    join: (pid) => {
      for (const folder of folders) {
        const enter = quiet.has(folder) ? attemptQuietly : attemptOrTell;
        enter(`enter ${folder}`, () => writeFileSync(join(folder, "cgroup.procs"), String(pid)));
      }
    },
    usage: () => (isMeasured ? readUsage(folders) : {}),
    remove: async () => removeCgroup(name, spec.parent),
  };
}

function attemptQuietly(_what: string, work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** Without it the time is told and the memory is not. */
function delegateMemory(parent: string): void {
  attemptQuietly("", () => writeFileSync(join(parent, "cgroup.subtree_control"), "+memory"));
}

/** In v2 a group that holds processes, as ours does, cannot share out controllers: so the step's lies beside it. */
function parentOf({ own, controllers }: Hierarchy): string {
  return controllers === undefined ? dirname(own) : own;
}

/** Lets children of `parent` use the controllers (cgroup v2). */
function delegate(parent: string, wanted: readonly Control[]): void {
  const names = new Set(wanted.map(({ file }) => file.slice(0, file.indexOf("."))));
  for (const name of names) writeFileSync(join(parent, "cgroup.subtree_control"), `+${name}`);
}

/** A new cpuset (v1) is empty, and nothing can enter it. Those above it may be new too. */
function inheritCpuset(folder: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const own = readFileSync(join(folder, file), "utf8").trim();
    if (own !== "") continue;
    const above = join(folder, "..");
    if (readFileSync(join(above, file), "utf8").trim() === "") inheritCpuset(above);
    writeFileSync(join(folder, file), readFileSync(join(above, file), "utf8").trim());
  }
}
