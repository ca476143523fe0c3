import { canonicalJson, type JsonValue } from "../core/index.ts";
import type { CacheKeyObject } from "./types.ts";

/** The first thing in which two keys differ. An absent side means that the field is new, or gone. */
export interface KeyDifference {
  /** Name of a field, or `kind` when the keys are of different kinds. */
  readonly field: string;
  readonly previous?: JsonValue;
  readonly current?: JsonValue;
}

/**
 * Why a step ran again: the first difference in the order of the current key's fields, then of what only the previous
 * one has; undefined for equal keys. Pure.
 */
export function diffKeys(
  previous: CacheKeyObject,
  current: CacheKeyObject,
): KeyDifference | undefined {
  if (previous.kind !== current.kind) {
    return { field: "kind", previous: previous.kind, current: current.kind };
  }
  const before = new Map(Array.from(previous.fields, ({ name, value }) => [name, value]));
  for (const { name, value } of current.fields) {
    const old = before.get(name);
    if (old === undefined) return { field: name, current: value };
    if (canonicalJson(old) !== canonicalJson(value))
      return { field: name, previous: old, current: value };
    before.delete(name);
  }
  for (const [name, value] of before) return { field: name, previous: value };
  const order = (key: CacheKeyObject): string[] => Array.from(key.fields, ({ name }) => name);
  const [was, is] = [order(previous), order(current)];
  return was.join("\n") === is.join("\n")
    ? undefined
    : { field: "order", previous: was, current: is };
}
