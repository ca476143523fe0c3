import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, extendChain, isDigest, type JsonValue } from "../core/index.ts";
import type { ChainId, DiffId } from "../core/index.ts";
import type { Snapshot } from "./types.ts";

/** Record of a snapshot whose files are on the disk, whatever happens to the power. */
const durableName = "meta.json";
/**
 * The same record, of files that may only be in memory yet: it counts in the boot that it names. That a name says which
 * it is makes the mark one rename, and costs whoever reads a durable one nothing.
 */
const unsyncedName = "unsynced.json";

/** Writes the record of a new snapshot into its folder. */
export function writeMetadata(
  folder: string,
  { snapshot, bootId }: { readonly snapshot: Snapshot; readonly bootId: string },
): void {
  const { reproducible, ...rest } = snapshot;
  const record = { version: 1, ...rest, tarIsOurs: reproducible, bootId };
  writeFileSync(join(folder, unsyncedName), `${JSON.stringify(record)}\n`);
}

/** Says of a snapshot that a sync came after it. Harmless when another process was first, or has removed it. */
export function markDurable(folder: string): void {
  try {
    renameSync(join(folder, unsyncedName), join(folder, durableName));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** Takes the record away unless a sync came after it: its files may be lost. The rest is garbage that a sweep removes. */
export function markLost(folder: string): void {
  rmSync(join(folder, unsyncedName), { force: true });
}

/** What the folder of a snapshot says about itself. */
export interface Metadata {
  readonly snapshot: Snapshot;
  readonly isDurable: boolean;
}

/**
 * undefined when there is no record, none that this version understands, or one that a power cut has outdated: all mean
 * that the snapshot is not here. Read synchronously, since a chain of twenty takes a third of a millisecond so.
 */
export function readMetadata(folder: string, bootId: () => string): Metadata | undefined {
  const durable = readRecord(join(folder, durableName));
  if (durable !== undefined) return { snapshot: durable.snapshot, isDurable: true };
  const unsynced = readRecord(join(folder, unsyncedName));
  if (unsynced !== undefined) {
    return unsynced.bootId === bootId()
      ? { snapshot: unsynced.snapshot, isDurable: false }
      : undefined;
  }
  // Somebody may have marked it between the two looks.
  const marked = readRecord(join(folder, durableName));
  return marked && { snapshot: marked.snapshot, isDurable: true };
}

interface MetadataRecord {
  readonly snapshot: Snapshot;
  readonly bootId: JsonValue | undefined;
}

function readRecord(path: string): MetadataRecord | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
  const record = parseObject(text);
  const snapshot = record && parseMetadata(record);
  return snapshot && { snapshot, bootId: record["bootId"] };
}

type JsonRecord = { readonly [key: string]: JsonValue | undefined };

function parseMetadata(record: JsonRecord): Snapshot | undefined {
  if (record["version"] !== 1) return undefined;
  const { chainId, diffId, parent, tarSize, contentSize, created, tarIsOurs } = record;
  if (typeof chainId !== "string" || !isDigest(chainId)) return undefined;
  if (typeof diffId !== "string" || !isDigest(diffId)) return undefined;
  if (parent !== undefined && (typeof parent !== "string" || !isDigest(parent))) return undefined;
  if (typeof tarSize !== "number" || typeof contentSize !== "number") return undefined;
  if (typeof created !== "string" || typeof tarIsOurs !== "boolean") return undefined;
  const snapshot = {
    chainId: chainId as ChainId,
    diffId: diffId as DiffId,
    parent: parent as ChainId | undefined,
  };
  // What the names say must be true of them; a file mixed up by hand or by a disk is not believed.
  if (extendChain(snapshot.parent, snapshot.diffId) !== snapshot.chainId) return undefined;
  return { ...snapshot, tarSize, contentSize, created, reproducible: tarIsOurs };
}

function parseObject(text: string): JsonRecord | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as JsonRecord)
      : undefined;
  } catch {
    // Half-written before a power cut: as good as absent.
    return undefined;
  }
}
