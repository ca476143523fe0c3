import type { CgroupSpec } from "../types.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** One file of a cgroup, and what goes into it. */
export interface Control {
  readonly file: string;
  readonly value: string;
}

export interface Controls {
  readonly byHierarchy: ReadonlyMap<Hierarchy, readonly Control[]>;
  /** What no hierarchy here can do. */
  readonly missing: readonly { readonly control: string }[];
}

/** Which files say what `spec` asks for. Where both versions are mounted, v1 has the controllers. */
export function listControls(spec: CgroupSpec, hierarchies: readonly Hierarchy[]): Controls {
  const byHierarchy = new Map<Hierarchy, Control[]>(hierarchies.map((one) => [one, []]));
  const missing: { control: string }[] = [];
  for (const { controller, v1, v2 } of wantedBy(spec)) {
    const first = hierarchies.find(({ controllers }) => controllers?.includes(controller) === true);
    const second = hierarchies.find(({ controllers }) => controllers === undefined);
    const chosen = first ?? (hierarchies.length === 1 ? second : undefined);
    if (chosen === undefined) missing.push({ control: controller });
    else byHierarchy.get(chosen)?.push(...(first === undefined ? v2 : v1));
  }
  return { byHierarchy, missing };
}

interface Wanted {
  readonly controller: "memory" | "cpu" | "cpuset";
  readonly v1: readonly Control[];
  readonly v2: readonly Control[];
}

/** @see Linux, admin-guide/cgroup-v1 and cgroup-v2.rst */
function wantedBy(spec: CgroupSpec): readonly Wanted[] {
  const { memory, memorySwap, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = spec;
  const swapOnly = memorySwap === undefined ? undefined : memorySwap - (memory ?? 0);
  const all: readonly Wanted[] = [
    {
      controller: "memory",
      v1: [
        ...control("memory.limit_in_bytes", memory),
        ...control("memory.memsw.limit_in_bytes", memorySwap),
      ],
      v2: [
        ...control("memory.max", memory),
        ...control("memory.swap.max", memorySwap === -1 ? "max" : swapOnly),
      ],
    },
    {
      controller: "cpu",
      v1: [
        ...control("cpu.shares", cpuShares),
        ...control("cpu.cfs_period_us", cpuPeriod),
        ...control("cpu.cfs_quota_us", cpuQuota),
      ],
      v2: [
        ...control("cpu.weight", cpuShares === undefined ? undefined : toWeight(cpuShares)),
        ...control("cpu.max", toMaximum(cpuPeriod, cpuQuota)),
      ],
    },
    {
      controller: "cpuset",
      v1: [...control("cpuset.cpus", cpusetCpus), ...control("cpuset.mems", cpusetMems)],
      v2: [...control("cpuset.cpus", cpusetCpus), ...control("cpuset.mems", cpusetMems)],
    },
  ];
  return all.filter(({ v1 }) => v1.length > 0);
}

function control(file: string, value: string | number | undefined): readonly Control[] {
  return value === undefined ? [] : [{ file, value: String(value) }];
}

/** 2 to 262144 becomes 1 to 10000, as runtimes convert it. */
function toWeight(shares: number): number {
  return Math.floor(1 + ((Math.min(Math.max(shares, 2), 262144) - 2) * 9999) / 262142);
}

function toMaximum(period: number | undefined, quota: number | undefined): string | undefined {
  if (period === undefined && quota === undefined) return undefined;
  return `${quota === undefined ? "max" : String(quota)} ${String(period ?? 100_000)}`;
}
