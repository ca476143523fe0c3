import {
  type ChainId,
  diffId,
  type DiffId,
  type Digest,
  isDigest,
  layerCompression,
} from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import { asObject } from "../../store/index.ts";
import { cacheError } from "../errors.ts";
import {
  compareDigests,
  isTime,
  stateOn,
  statesOf,
  type CacheContents,
  type CacheState,
  type RemoteRecord,
} from "./contents.ts";

/** Largest document that is read, in bytes: some 100,000 records. */
export const maxDocumentSize = 32 * 1024 * 1024;
/** More layers than a stack of any build has, and few enough to walk. */
const maxDepth = 10_000;

/**
 * The config document of a cache. States name their parents by position, parents first, so that there are no circles and
 * a long build is not written down once for every step. Equal contents give equal bytes.
 */
export function serializeDocument({ records, layers }: CacheContents): Buffer {
  const states = statesOf(records);
  const positions = new Map(states.map(({ chainId }, index) => [chainId, index]));
  const needed = new Set(states.map((state) => state.diffId));
  const document = {
    version: 1,
    layers: Array.from(layers)
      .filter(([layer]) => needed.has(layer))
      .map(([layer, { digest }]) => ({ diffId: layer, digest }))
      .sort((a, b) => compareDigests(a.diffId, b.diffId)),
    states: states.map(({ diffId: layer, parent, created }) => ({
      parent: parent === undefined ? undefined : positions.get(parent.chainId),
      diffId: layer,
      created,
    })),
    records: records
      .map(({ state, ...record }) => ({ state: positions.get(state.chainId) ?? -1, ...record }))
      .map(({ key, state, durationMs, platform, used }) => ({
        ...{ key, state, durationMs, platform, used },
      }))
      .sort((a, b) => compareDigests(a.key, b.key) || a.state - b.state),
  };
  return Buffer.from(JSON.stringify(document));
}

/**
 * Reads such a document, which may come from anybody. `blobs` are what its manifest lists: a layer that is not among them
 * is not there.
 * @throws CACHE_INVALID when anything about it is not right
 */
export function parseDocument(bytes: Uint8Array, blobs: readonly Descriptor[]): CacheContents {
  const document = parseObject(bytes);
  if (document["version"] !== 1) {
    throw invalid("it has a version that is not known here", "a newer tsbuild may have written it");
  }
  const layers = parseLayers(document["layers"], blobs);
  const states = parseStates(document["states"]);
  const records = listOf(document["records"], "records").map((value, index) => {
    const record = parseRecord(value, states);
    if (record === undefined) throw invalid(`records[${String(index)}] is none`);
    return record;
  });
  return { records, layers };
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw cacheError("CACHE_INVALID", "read the document of a cache: it is not JSON", { cause });
  }
  const document = asObject(value);
  if (document === undefined) throw invalid("it is no object");
  return document;
}

function parseLayers(
  value: unknown,
  blobs: readonly Descriptor[],
): ReadonlyMap<DiffId, Descriptor> {
  const byDigest = new Map(blobs.map((blob) => [blob.digest, blob]));
  const layers = new Map<DiffId, Descriptor>();
  for (const [index, each] of listOf(value, "layers").entries()) {
    const layer = asObject(each);
    const [id, digest] = [readDigest(layer?.["diffId"]), readDigest(layer?.["digest"])];
    if (id === undefined || digest === undefined) throw invalid(`layers[${String(index)}] is none`);
    const blob = byDigest.get(digest);
    // What the manifest does not list, or calls something else than a layer, nobody promises to keep.
    if (blob === undefined || layerCompression(blob.mediaType) === undefined) continue;
    const { mediaType, size } = blob;
    layers.set(diffId(id), { mediaType, digest, size });
  }
  return layers;
}

function parseStates(value: unknown): readonly CacheState[] {
  const states: CacheState[] = [];
  const known = new Set<ChainId>();
  for (const [index, each] of listOf(value, "states").entries()) {
    const state = parseState(asObject(each), states);
    if (state === undefined || known.has(state.chainId)) {
      throw invalid(`states[${String(index)}] is none`);
    }
    if (state.depth > maxDepth) throw invalid(`states[${String(index)}] has too many layers`);
    known.add(state.chainId);
    states.push(state);
  }
  return states;
}

/** A parent stands before its children: whatever else a number leads to is undefined here. */
function parseState(
  value: Readonly<Record<string, unknown>> | undefined,
  before: readonly CacheState[],
): CacheState | undefined {
  const layer = readDigest(value?.["diffId"]);
  const position = value?.["parent"];
  const created = value?.["created"];
  if (value === undefined || layer === undefined) return undefined;
  if (created !== undefined && !isTime(created)) return undefined;
  if (position === undefined) return stateOn(undefined, { diffId: diffId(layer), created });
  const parent = typeof position === "number" ? before[position] : undefined;
  return parent && stateOn(parent, { diffId: diffId(layer), created });
}

function parseRecord(value: unknown, states: readonly CacheState[]): RemoteRecord | undefined {
  const { key, state: position, durationMs, platform, used } = asObject(value) ?? {};
  const state = typeof position === "number" ? states[position] : undefined;
  const digest = readDigest(key);
  if (digest === undefined || state === undefined) return undefined;
  if (typeof durationMs !== "number" || !Number.isFinite(durationMs) || durationMs < 0) return;
  if (platform !== undefined && !(typeof platform === "string" && platform.length <= 200)) return;
  if (typeof used !== "string" || !/^\d{4}-\d\d-\d\d$/.test(used)) return undefined;
  return {
    ...{ key: digest, state, durationMs, used },
    ...(platform === undefined ? {} : { platform }),
  };
}

function readDigest(value: unknown): Digest | undefined {
  return typeof value === "string" && isDigest(value) ? value : undefined;
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw invalid(`${name} is no list`);
}

function invalid(why: string, hint?: string): Error {
  return cacheError("CACHE_INVALID", `read the document of a cache: ${why}`, { hint });
}
