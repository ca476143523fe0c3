import { readFileSync } from "node:fs";
import { errnoOf, extendChain, isDigest, type JsonValue } from "../core/index.ts";
import type { ChainId, DiffId } from "../core/index.ts";
import type { Snapshot } from "./types.ts";

/** The content of a snapshot's `meta.json`. */
export function formatMetadata(snapshot: Snapshot): string {
  const { reproducible, ...rest } = snapshot;
  return `${JSON.stringify({ version: 1, ...rest, tarIsOurs: reproducible })}\n`;
}

/**
 * undefined when there is none, or none that this version understands: both mean that the snapshot is not here. Read
 * synchronously, since a chain of twenty takes a third of a millisecond so.
 */
export function readMetadata(path: string): Snapshot | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
  return parseMetadata(text);
}

function parseMetadata(text: string): Snapshot | undefined {
  const record = parseObject(text);
  if (record?.["version"] !== 1) return undefined;
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

function parseObject(text: string): { readonly [key: string]: JsonValue | undefined } | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as { readonly [key: string]: JsonValue | undefined })
      : undefined;
  } catch {
    // Half-written before a power cut: as good as absent.
    return undefined;
  }
}
