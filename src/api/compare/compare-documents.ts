import { isDeepStrictEqual } from "node:util";

/** A place where two documents are not the same. */
export interface DocumentDifference {
  /** As in `history[3].created`; empty for the whole document. */
  readonly path: string;
  /** JSON of what stands there, `nothing` where nothing does. */
  readonly first: string;
  readonly second: string;
}

/** All places where two documents of JSON values differ, as deep inside as they can be told. */
export function compareDocuments(first: unknown, second: unknown, path = ""): DocumentDifference[] {
  if (isDeepStrictEqual(first, second)) return [];
  if (!isContainer(first) || !isContainer(second) || Array.isArray(first) !== Array.isArray(second))
    return [{ path, first: textOf(first), second: textOf(second) }];
  const keys = new Set([...Object.keys(first), ...Object.keys(second)]);
  return [...keys].flatMap((key) => {
    const below = Array.isArray(first) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
    return compareDocuments(valueOf(first, key), valueOf(second, key), below);
  });
}

type Container = Readonly<Record<string, unknown>> | readonly unknown[];

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

function valueOf(container: Container, key: string): unknown {
  return Object.entries(container).find(([name]) => name === key)?.[1];
}

function textOf(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
