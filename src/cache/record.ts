import { type Digest, type DiffId, isDigest, chainIdOf } from "../core/index.ts";
import { asObject } from "../store/index.ts";
import { isKeyField } from "./key-file.ts";
import type { BuildRecord, CacheRecord } from "./types.ts";

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
export function parseBuildRecord(value: unknown): BuildRecord | undefined {
  const { steps, finished } = asObject(value) ?? {};
  if (typeof finished !== "string" || !Array.isArray(steps) || !steps.every(isTracedStep)) return;
  return { steps, finished };
}

function isTracedStep(value: unknown, position: number): value is BuildRecord["steps"][number] {
  const step = asObject(value);
  if (typeof step?.["name"] !== "string" || !Array.isArray(step["inputs"])) return false;
  const { key, content, fields, result, outcome, durationMs } = step;
  return (
    step["inputs"].every((input) => Number.isInteger(input) && input >= 0 && input < position) &&
    [key, content].every(
      (digest) => digest === undefined || (typeof digest === "string" && isDigest(digest)),
    ) &&
    (fields === undefined || (Array.isArray(fields) && fields.every(isKeyField))) &&
    ["undefined", "string"].includes(typeof result) &&
    [undefined, "cached", "ran"].includes(outcome as string | undefined) &&
    ["undefined", "number"].includes(typeof durationMs)
  );
}

function parseDigests(value: unknown): readonly DiffId[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const isDigests = value.every(
    (each): each is Digest => typeof each === "string" && isDigest(each),
  );
  return isDigests ? (value as DiffId[]) : undefined;
}
