import type { CgroupSpec } from "../../../sandbox/index.ts";
import { usageError } from "../../errors.ts";
import type { RunOptions } from "./options.ts";
import { readSize } from "./sizes.ts";

type Limits = { -readonly [Name in keyof Omit<CgroupSpec, "parent">]: CgroupSpec[Name] };

const readers: Readonly<Record<string, (limits: Limits, value: string, name: string) => void>> = {
  memory: (limits, value, name) => (limits.memory = readSize(value, name)),
  "memory-swap": (limits, value, name) =>
    (limits.memorySwap = value === "-1" ? -1 : readSize(value, name)),
  "cpu-shares": (limits, value, name) => (limits.cpuShares = readCount(value, name)),
  "cpu-period": (limits, value, name) => (limits.cpuPeriod = readCount(value, name)),
  "cpu-quota": (limits, value, name) => (limits.cpuQuota = readCount(value, name)),
  "cpuset-cpus": (limits, value, name) => (limits.cpusetCpus = readList(value, name)),
  "cpuset-mems": (limits, value, name) => (limits.cpusetMems = readList(value, name)),
};

/**
 * Limits of every RUN, undefined without any.
 * @throws USAGE
 */
export function readLimits({ resources = [] }: RunOptions): Limits | undefined {
  const limits: Limits = {};
  for (const text of resources) {
    // A list of processors has commas of its own, followed by digits.
    for (const field of text.split(/,(?=[a-z])/)) {
      const equals = field.indexOf("=");
      const name = field.slice(0, Math.max(equals, 0));
      const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
      if (read === undefined) {
        throw usageError(
          `invalid resource limit: ${field}`,
          `write name=value; the names are ${Object.keys(readers).join(", ")}`,
        );
      }
      read(limits, field.slice(equals + 1), name);
    }
  }
  return Object.keys(limits).length === 0 ? undefined : limits;
}

function readCount(value: string, name: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw usageError(`invalid resource limit: ${name}=${value}`, "give a number");
}

function readList(value: string, name: string): string {
  if (/^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/.test(value)) return value;
  throw usageError(`invalid resource limit: ${name}=${value}`, "write a list such as 0-2,4");
}
