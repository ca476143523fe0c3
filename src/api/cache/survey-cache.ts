import { basename, join } from "node:path";
import type { CacheEntry } from "../../cache/index.ts";
import { isTsbuildError, type ChainId } from "../../core/index.ts";
import { measureLayers, type LayerPart, type LayerUsage } from "../../local/index.ts";
import type { CacheMountEntry } from "../../store/index.ts";
import type { Engine } from "../engine.ts";
import { rootsBesideCache } from "../gc-roots.ts";
import { listRepositories } from "../git-cache.ts";
import type { CacheItem, ItemKey } from "./cache-item.ts";
import { describeStep } from "./describe-step.ts";

/** What the build cache keeps, and the layers below its steps. */
export interface CacheSurvey {
  /** Used most recently first. */
  readonly items: readonly CacheItem[];
  readonly layers: ReadonlyMap<ChainId, LayerUsage>;
}

/** Reads every record with the beginning of its key; no layer. */
export async function surveyCache(engine: Engine): Promise<CacheSurvey> {
  const { store, snapshots } = engine;
  const layers = await measureLayers({ store, snapshots, roots: rootsBesideCache(engine) });
  const results = new Map<string, StepResult>();
  for await (const entry of engine.cache.list()) {
    const { chainId, created, durationMs } = entry.record;
    const object = await engine.cache.explain(entry.key);
    const description = tellingStep(() => describeStep(object));
    // One run of a step is known under two keys and more: one by content, and one for each definition that led there.
    const id = JSON.stringify([chainId ?? null, created, durationMs, description]);
    const result = results.get(id) ?? { entries: [], keys: [], description };
    result.entries.push(entry);
    result.keys.push({ key: entry.key, ...(object === undefined ? {} : { kind: object.kind }) });
    results.set(id, result);
  }
  const ids = new Map<ChainId, string[]>();
  for (const result of results.values()) {
    const { chainId } = firstOf(result).record;
    if (chainId !== undefined) ids.set(chainId, [...(ids.get(chainId) ?? []), idOf(result)]);
  }
  const steps = [...results.values()].map((result) => toItem(result, { layers, ids }));
  const items = [...steps, ...(await mountItems(engine)), ...(await repositoryItems(engine))];
  return { items: items.sort(byLastUse), layers };
}

async function mountItems({ store }: Engine): Promise<readonly CacheItem[]> {
  const items: CacheItem[] = [];
  for (const entry of await store.cacheMounts.list()) {
    items.push({
      ...alone(await store.cacheMounts.measure(entry), entry.lastUsed),
      id: mountId(entry),
      type: "exec.cachemount",
      description: `cache mount ${entry.name.id}`,
    });
  }
  return items;
}

/** Of a cache mount among the items. */
export function mountId({ directory, instance }: CacheMountEntry): string {
  const folder = basename(join(directory, "../.."));
  return instance === 0 ? folder : `${folder}-${String(instance)}`;
}

async function repositoryItems(engine: Engine): Promise<readonly CacheItem[]> {
  return (await listRepositories(engine)).map(({ name, size, lastUsed }) => ({
    ...alone(size, lastUsed.getTime()),
    id: name,
    type: "source.git.checkout",
    description: "repository of a git context",
  }));
}

/** Of what is no step and shared with nobody. A power cut may take it, and then it is made again. */
function alone(size: number, lastUsed: number) {
  const sizes = { size, shared: 0, unique: size };
  const time = new Date(lastUsed).toISOString();
  return { ...sizes, keys: [], parents: [], lastUsed: time, durable: false };
}

/** The layers of an item from the topmost one down, as far as they are here. */
export function layersBelow(
  { result }: Pick<CacheItem, "result">,
  layers: CacheSurvey["layers"],
): readonly LayerUsage[] {
  const found: LayerUsage[] = [];
  for (let at = result && layers.get(result); at !== undefined;) {
    found.push(at);
    at = at.parent === undefined ? undefined : layers.get(at.parent);
  }
  return found;
}

interface StepResult {
  readonly entries: CacheEntry[];
  readonly keys: ItemKey[];
  readonly description: string | undefined;
}

function firstOf({ entries }: StepResult): CacheEntry {
  const [first] = entries;
  if (first === undefined) throw new Error("a result without records");
  return first;
}

/** The key by content: there is one of it. */
function idOf({ keys }: StepResult): string {
  const key = keys.find(({ kind }) => kind === "content") ?? keys[0];
  return key?.key ?? "";
}

function toItem(
  result: StepResult,
  known: Pick<CacheSurvey, "layers"> & { readonly ids: ReadonlyMap<ChainId, readonly string[]> },
): CacheItem {
  const { entries, keys, description } = result;
  const { chainId, created, durationMs } = firstOf(result).record;
  const layer = chainId === undefined ? undefined : known.layers.get(chainId);
  const records = entries.reduce((sum, { size }) => sum + size, 0);
  const parts = layer?.parts ?? [];
  const shared = sizeOf(parts.filter(({ isNeeded }) => isNeeded));
  const size = sizeOf(parts) + records;
  const lastUsed = new Date(Math.max(...entries.map((entry) => entry.lastUsed.getTime())));
  return {
    id: idOf(result),
    type: "regular",
    description: description ?? "unknown: its key is lost",
    keys,
    parents: layer?.parent === undefined ? [] : (known.ids.get(layer.parent) ?? []),
    ...(chainId === undefined ? {} : { result: chainId }),
    ...{ size, shared, unique: size - shared, created, durationMs },
    lastUsed: lastUsed.toISOString(),
    durable: entries.every(({ record }) => record.durable),
  };
}

export function sizeOf(parts: Iterable<Pick<LayerPart, "size">>): number {
  let size = 0;
  for (const part of parts) size += part.size;
  return size;
}

/** A key that cannot be read is told as lost. */
function tellingStep(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch (error) {
    if (isTsbuildError(error, "CACHE_KEY_DAMAGED")) return undefined;
    throw error;
  }
}

function byLastUse(a: CacheItem, b: CacheItem): number {
  const [one = "", other = ""] = [a.lastUsed, b.lastUsed];
  return other.localeCompare(one) || a.id.localeCompare(b.id);
}
