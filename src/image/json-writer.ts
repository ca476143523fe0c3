import { compareText } from "./json-door.ts";

/** What documents are made of. A `Map` is an object whose keys are written in byte order; undefined is left out. */
export type WireValue =
  | string
  | number
  | boolean
  | undefined
  | readonly WireValue[]
  | ReadonlyMap<string, WireValue>
  | { readonly [key: string]: WireValue };

/**
 * JSON as the world's image tools write it, so that equal documents have equal digests: Go's encoder escapes `<`,
 * `>`, `&` and the two Unicode line separators, writes maps in key order, and puts nothing at the end.
 * `indent` counts spaces; 0 writes one line.
 */
export function writeJson(value: WireValue, indent = 0): Buffer {
  const text = write(value, indent, "\n");
  const escaped = text.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Buffer.from(escaped);
}

function write(value: WireValue, indent: number, newline: string): string {
  if (typeof value !== "object") return JSON.stringify(value ?? null);
  const inner = newline + " ".repeat(indent);
  const wrap = (open: string, items: readonly string[], close: string): string => {
    if (items.length === 0) return open + close;
    if (indent === 0) return open + items.join(",") + close;
    return `${open}${inner}${items.join(`,${inner}`)}${newline}${close}`;
  };
  if (isList(value)) {
    return wrap(
      "[",
      value.map((item) => write(item, indent, inner)),
      "]",
    );
  }
  const members = entriesOf(value).flatMap(([key, member]) =>
    member === undefined
      ? []
      : [`${JSON.stringify(key)}:${indent === 0 ? "" : " "}${write(member, indent, inner)}`],
  );
  return wrap("{", members, "}");
}

function entriesOf(
  value: ReadonlyMap<string, WireValue> | { readonly [key: string]: WireValue },
): readonly (readonly [string, WireValue])[] {
  if (value instanceof Map) {
    const map: ReadonlyMap<string, WireValue> = value;
    return [...map].sort(([a], [b]) => compareText(a, b));
  }
  return Object.entries(value);
}

function isList(value: WireValue): value is readonly WireValue[] {
  return Array.isArray(value);
}

/** A string record as a map, or undefined when it is absent or empty, as Go's `omitempty` has it. */
export function wireMap(
  record: Readonly<Record<string, string>> | undefined,
): ReadonlyMap<string, string> | undefined {
  const entries = Object.entries(record ?? {});
  return entries.length === 0 ? undefined : new Map(entries);
}

/** A list, or undefined when it is absent or empty. */
export function wireList<T extends WireValue>(
  list: readonly T[] | undefined,
): readonly T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

/** Keys with empty objects as values, such as `Volumes`. */
export function wireKeys(
  keys: readonly string[] | undefined,
): ReadonlyMap<string, WireValue> | undefined {
  return keys === undefined || keys.length === 0
    ? undefined
    : new Map(keys.map((key) => [key, {}] as const));
}
