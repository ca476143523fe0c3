import { asObject, parseJson } from "./json-file.ts";

/** What tells one cache of `RUN --mount=type=cache` from another: its id, what it began with, and asked-for looks. */
export interface CacheMountName {
  /** With the namespace of BUILDKIT_CACHE_MOUNT_NS in front; the target's path where the mount says none. */
  readonly id: string;
  /** ChainId of the layers that it began as a copy of. */
  readonly from?: string | undefined;
  /** Where in those. */
  readonly source?: string | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** The key under which the store keeps it: equal names have equal keys. */
export function cacheMountKey({ id, from, source, mode, uid, gid }: CacheMountName): string {
  return JSON.stringify({ id, from, source, mode, uid, gid });
}

const longestText = 4096;

/** undefined for what is no such key. */
export function parseCacheMountKey(key: string): CacheMountName | undefined {
  const found = parseJson(key, asObject);
  if (found === undefined) return undefined;
  const { id, from, source, mode, uid, gid } = found;
  const name = { id, from, source, mode, uid, gid };
  if (!isText(id) || !isTextOrNone(from) || !isTextOrNone(source)) return undefined;
  if (!isNumberOrNone(mode) || !isNumberOrNone(uid) || !isNumberOrNone(gid)) return undefined;
  // Written in another way, it would be another cache of the same name.
  const isOurs = cacheMountKey(name as CacheMountName) === key;
  return isOurs ? (name as CacheMountName) : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= longestText;
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

function isNumberOrNone(value: unknown): value is number | undefined {
  return value === undefined || (Number.isInteger(value) && Number(value) >= 0);
}
