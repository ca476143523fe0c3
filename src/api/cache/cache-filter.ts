import { usageError } from "../errors.ts";
import type { CacheItem } from "./cache-item.ts";
import { parseAge } from "./parse-age.ts";

/** Whether an item is meant. */
export type CacheFilter = (item: CacheItem) => boolean;

/**
 * Reads `--filter` values: `KEY`, `KEY=VALUE`, `KEY!=VALUE` or `KEY~=REGEX`. An item has to pass all of them. An id may
 * be given by its beginning.
 * @throws USAGE
 */
export function parseCacheFilters(texts: readonly string[], now: Date): CacheFilter {
  const filters = texts.map((text) => parseFilter(text, now));
  return (item) => filters.every((filter) => filter(item));
}

function parseFilter(text: string, now: Date): CacheFilter {
  const match = /^([a-z-]+)(?:(=|!=|~=)(.*))?$/s.exec(text);
  const [, key = "", operator, value = ""] = match ?? [];
  if (key === "until" || key === "unused-for") {
    if (operator !== "=") throw invalid(text);
    return unusedFor(parseAge(value, `--filter ${key}`), now);
  }
  const flag = flags[key];
  if (flag !== undefined) {
    if (operator !== undefined) throw invalid(text);
    return flag;
  }
  const read = values[key];
  if (read === undefined || operator === undefined || value === "") throw invalid(text);
  const matches = matcher(text, { operator, value, isId: key === "id" || key === "parents" });
  return (item) => matches(read(item));
}

/** Passes what was not used for `age` milliseconds; what nobody knows the last use of does not pass. */
export function unusedFor(age: number, now: Date): CacheFilter {
  return ({ lastUsed }) => lastUsed !== undefined && now.getTime() - Date.parse(lastUsed) >= age;
}

const flags: Readonly<Record<string, CacheFilter>> = {
  shared: ({ shared }) => shared > 0,
  private: ({ shared }) => shared === 0,
  mutable: ({ type }) => type === "exec.cachemount",
  immutable: ({ type }) => type !== "exec.cachemount",
};

const values: Readonly<Record<string, (item: CacheItem) => readonly string[]>> = {
  id: ({ id, keys }) => [id, ...keys.map(({ key }) => key)],
  parents: ({ parents }) => parents,
  type: ({ type }) => [type],
  description: ({ description }) => [description],
};

function matcher(
  text: string,
  wanted: { readonly operator: string; readonly value: string; readonly isId: boolean },
): (found: readonly string[]) => boolean {
  const { operator, value, isId } = wanted;
  if (operator === "~=") {
    const pattern = toPattern(text, value);
    return (found) => found.some((each) => pattern.test(each));
  }
  const isEqual = (each: string): boolean => (isId ? hasPrefix(each, value) : each === value);
  return (found) => found.some(isEqual) === (operator === "=");
}

/** Whether an id begins so, with the name of its algorithm or without. */
export function hasPrefix(id: string, prefix: string): boolean {
  return id.startsWith(prefix) || id.startsWith(`sha256:${prefix}`);
}

function toPattern(text: string, value: string): RegExp {
  try {
    return new RegExp(value);
  } catch {
    throw usageError(`invalid filter: ${text}`, `${value} is no regular expression`);
  }
}

function invalid(text: string): Error {
  return usageError(
    `invalid filter: ${text}`,
    "write until=24h, id=…, parents=…, type=regular|exec.cachemount|source.git.checkout, description=… (or != and ~=), shared, private, mutable, immutable",
  );
}
