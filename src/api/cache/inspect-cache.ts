import type { KeyField } from "../../cache/index.ts";
import {
  chainIdOf,
  isTsbuildError,
  type ChainId,
  type DiffId,
  type JsonValue,
} from "../../core/index.ts";
import { withEngine, type Engine, type EngineOptions } from "../engine.ts";
import { apiError } from "../errors.ts";
import { hasPrefix } from "./cache-filter.ts";
import type { CacheItem, ItemKey } from "./cache-item.ts";
import { sizeOf, surveyCache, type CacheSurvey } from "./survey-cache.ts";

/** Everything that is known of one item of the cache. */
export interface InspectedItem extends CacheItem {
  /** Of a step: what each of its keys is made of. */
  readonly madeOf: readonly InspectedKey[];
  /** Of a step: the layers of its result, bottom first. */
  readonly layers: readonly InspectedLayer[];
}

export interface InspectedKey extends ItemKey {
  /** In the order of the key, without files. Of ARG and ENV the names alone, as in reasons: people pass passwords so. */
  readonly fields: readonly InspectedField[];
  /** The files that the step reads, as they were. */
  readonly files: readonly InspectedFile[];
}

export interface InspectedField {
  readonly name: string;
  /** Absent where it is not told. */
  readonly value?: JsonValue;
}

export interface InspectedFile {
  readonly path: string;
  /** Number of the source of the instruction. */
  readonly source: number;
  /** Of content, owners and extended attributes. */
  readonly digest: string;
  readonly mode: number;
}

export interface InspectedLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  /** Bytes in all forms that are here; 0 when it is not here. */
  readonly size: number;
  /** Whether images or containers need it too. */
  readonly isShared: boolean;
}

/**
 * Tells all about the item with a key that begins so.
 * @throws CACHE_KEY_NOT_FOUND, CACHE_KEY_AMBIGUOUS
 */
export async function inspectCache(
  options: EngineOptions & { readonly key: string },
): Promise<InspectedItem> {
  return withEngine(options, async (engine) => {
    const survey = await surveyCache(engine);
    const { item, key } = findItem(survey.items, options.key);
    const found = item.keys.find((each) => each.key === key);
    // The key that was asked for comes first.
    const keys = [...new Set([...(found === undefined ? [] : [found]), ...item.keys])];
    const madeOf: InspectedKey[] = [];
    for (const each of keys) madeOf.push(await readKey(engine, each));
    const record = found === undefined ? undefined : await engine.cache.peek(found.key);
    return { ...item, madeOf, layers: layersOf(record?.diffIds ?? [], survey.layers) };
  });
}

function findItem(
  items: readonly CacheItem[],
  wanted: string,
): { readonly item: CacheItem; readonly key: string } {
  const found = items.flatMap((item) =>
    [...new Set([item.id, ...item.keys.map(({ key }) => key)])]
      .filter((key) => hasPrefix(key, wanted))
      .map((key) => ({ item, key })),
  );
  const [first] = found;
  if (first === undefined || wanted === "") {
    throw apiError("CACHE_KEY_NOT_FOUND", `find ${JSON.stringify(wanted)} in the build cache`, {
      hint: "`tsbuild cache ls` lists what is there",
      details: { key: wanted },
    });
  }
  if (new Set(found.map(({ item }) => item)).size > 1) {
    const keys = found.map(({ key }) => key);
    throw apiError("CACHE_KEY_AMBIGUOUS", `find ${wanted} in the build cache: several begin so`, {
      hint: `give more of one of ${keys.slice(0, 5).join(", ")}`,
      details: { key: wanted, keys },
    });
  }
  return first;
}

/** What cannot be read is left out. */
async function readKey({ cache }: Engine, key: ItemKey): Promise<InspectedKey> {
  const [fields, files]: [InspectedField[], InspectedFile[]] = [[], []];
  try {
    for (const field of (await cache.explain(key.key))?.fields ?? []) {
      if (field.name.startsWith("file:")) files.push(toFile(field));
      else fields.push(field.name.startsWith("env.") ? { name: field.name } : field);
    }
  } catch (error) {
    if (!isTsbuildError(error, "CACHE_KEY_DAMAGED")) throw error;
  }
  return { ...key, fields, files };
}

function toFile({ name, value }: KeyField): InspectedFile {
  const { source, digest, mode } = value as unknown as Omit<InspectedFile, "path">;
  return { path: name.slice("file:".length), source, digest, mode };
}

function layersOf(
  diffIds: readonly DiffId[],
  layers: CacheSurvey["layers"],
): readonly InspectedLayer[] {
  return diffIds.flatMap((diffId, index) => {
    const chainId = chainIdOf(diffIds.slice(0, index + 1));
    if (chainId === undefined) return [];
    const parts = layers.get(chainId)?.parts ?? [];
    const isShared = parts.some(({ isNeeded }) => isNeeded);
    return [{ diffId, chainId, size: sizeOf(parts), isShared }];
  });
}
