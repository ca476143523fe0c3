import { rlimits } from "../../core/index.ts";

/** Limits that Linux knows, in no order. */
export const resourceNames: readonly string[] = Object.keys(rlimits);

/** RLIMIT_* number of a limit's name; undefined for names that Linux does not know. */
export function findResource(name: string): number | undefined {
  return Object.hasOwn(rlimits, name) ? rlimits[name as keyof typeof rlimits] : undefined;
}

/** For names that have been checked. */
export function resourceNumber(name: string): number {
  const number = findResource(name);
  if (number === undefined) throw new Error(`no resource limit ${name}`);
  return number;
}
