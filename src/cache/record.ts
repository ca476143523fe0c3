import { type Digest, type DiffId, isDigest, chainIdOf } from "../core/index.ts";
import { asObject } from "../store/index.ts";
import type { BuildRecord, CacheKeyObject, CacheRecord, KeptCacheKey, KeyField } from "./types.ts";

/**
 * A record as it lies on disk or came from elsewhere; undefined when anything about it is not right, above all when its
 * chainId is not that of its diffIds: a record that lies about its chain would give one layer another one's parents.
 */
export function parseCacheRecord(value: unknown): CacheRecord | undefined {
  const record = asObject(value);
  if (record?.["version"] !== 1) return undefined;
  const { created, durationMs, bootId, durable } = record;
  const diffIds = parseDigests(record["diffIds"]);
  const chainId = diffIds && chainIdOf(diffIds);
  if (diffIds === undefined || chainId !== record["chainId"]) return undefined;
  if (typeof created !== "string" || typeof bootId !== "string") return undefined;
  if (typeof durationMs !== "number" || typeof durable !== "boolean") return undefined;
  return { version: 1, diffIds, chainId, created, durationMs, bootId, durable };
}

/** undefined when it is damaged. */
export function parseCacheKey(value: unknown): KeptCacheKey | undefined {
  const object = asObject(value);
  if (object?.["version"] !== 1) return undefined;
  const { kind, fields } = object;
  if (kind !== "definition" && kind !== "content") return undefined;
  if (!Array.isArray(fields) || !fields.every(isKeyField)) return undefined;
  return { version: 1, kind, fields };
}

/** The object as JSON; in parts when it names so many files that the whole would be tens of megabytes. */
export function formatCacheKey(object: CacheKeyObject): string | Iterable<string> {
  let whole = "";
  for (const part of formatInParts(object)) {
    if (whole !== "") return formatInParts(object);
    whole = part;
  }
  return whole;
}

const fieldsAtOnce = 1000;

function* formatInParts(object: CacheKeyObject): Generator<string, void, undefined> {
  const { version, kind, fields } = object;
  const [head, tail] = JSON.stringify({ version, kind, fields: [] }).split("[]");
  let part = `${head ?? ""}[`;
  let count = 0;
  for (const field of fields) {
    part += count === 0 ? JSON.stringify(field) : `,${JSON.stringify(field)}`;
    if (++count % fieldsAtOnce > 0) continue;
    yield part;
    part = "";
  }
  yield `${part}]${tail ?? ""}\n`;
}

/** undefined when it is damaged. */
export function parseBuildRecord(value: unknown): BuildRecord | undefined {
  const { steps, finished } = asObject(value) ?? {};
  if (typeof finished !== "string" || !Array.isArray(steps) || !steps.every(isBuildStep)) return;
  return { steps, finished };
}

function isKeyField(value: unknown): value is KeyField {
  const field = asObject(value);
  return typeof field?.["name"] === "string" && field["value"] !== undefined;
}

function isBuildStep(value: unknown): value is BuildRecord["steps"][number] {
  const { name, key, outcome, durationMs } = asObject(value) ?? {};
  return (
    typeof name === "string" &&
    typeof key === "string" &&
    isDigest(key) &&
    (outcome === "cached" || outcome === "ran") &&
    typeof durationMs === "number"
  );
}

function parseDigests(value: unknown): readonly DiffId[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const isDigests = value.every(
    (each): each is Digest => typeof each === "string" && isDigest(each),
  );
  return isDigests ? (value as DiffId[]) : undefined;
}
