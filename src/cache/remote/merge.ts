import type { ChainId, DiffId, Digest } from "../../core/index.ts";
import type { Descriptor } from "../../image/index.ts";
import type { CacheContents, RemoteRecord } from "./contents.ts";

/** Other builders' records stay so long after somebody last wrote that they were of use. */
export const maxAgeDays = 14;
/** The oldest of other builders' records go when there are more. */
export const maxRecords = 20_000;
/** One key has several states where a step gives other bytes each time and several machines ran it. */
export const maxStatesOfKey = 4;

/**
 * What a builder knows beside what other builders wrote into the same place before. The builder's own records come first and
 * stay whole; those of others stay while they are young enough, each with all its layers.
 */
export function mergeContents(
  own: CacheContents,
  present: CacheContents | undefined,
  now: Date,
): CacheContents {
  if (present === undefined) return own;
  const records = new Map<string, RemoteRecord>();
  const before = new Map(present.records.map((record) => [nameOf(record), record]));
  for (const record of own.records) records.set(nameOf(record), sameAsBefore(record, before));
  const states = countKeys(records.values());
  const oldest = dayOf(new Date(now.getTime() - maxAgeDays * millisecondsOfDay));
  const kept = present.records
    .filter((record) => !records.has(nameOf(record)) && record.used >= oldest)
    .sort((a, b) => (a.used < b.used ? 1 : a.used > b.used ? -1 : 0));
  for (const record of kept) {
    const count = states.get(record.key) ?? 0;
    if (count === maxStatesOfKey || records.size >= maxRecords) continue;
    states.set(record.key, count + 1);
    records.set(nameOf(record), record);
  }
  // A record that stands on what no other tells of would be refused: below it as many states stay as are stood on.
  const stoodOn = statesBelowAny(records.values());
  for (const record of kept) {
    if (records.size >= maxRecords) break;
    if (stoodOn.has(record.state.chainId)) records.set(nameOf(record), record);
  }
  return { records: [...records.values()], layers: mergeLayers(own, present) };
}

/** A day of UTC, as records tell it. */
export function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

const millisecondsOfDay = 24 * 60 * 60 * 1000;

/** What two builders tell of one result differs in nothing that matters: as it stands there, nothing has to be written. */
function sameAsBefore(
  record: RemoteRecord,
  before: ReadonlyMap<string, RemoteRecord>,
): RemoteRecord {
  const known = before.get(nameOf(record));
  if (known === undefined) return record;
  return known.used >= record.used ? known : { ...known, used: record.used };
}

function nameOf({ key, state }: RemoteRecord): string {
  return `${key} ${state.chainId}`;
}

function statesBelowAny(records: Iterable<RemoteRecord>): ReadonlySet<ChainId> {
  const below = new Set<ChainId>();
  for (const { state } of records) {
    for (let at = state.parent; at !== undefined && !below.has(at.chainId); at = at.parent) {
      below.add(at.chainId);
    }
  }
  return below;
}

/** How many records each key has. */
export function countKeys(records: Iterable<RemoteRecord>): Map<Digest, number> {
  const counts = new Map<Digest, number>();
  for (const { key } of records) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function mergeLayers(own: CacheContents, present: CacheContents): ReadonlyMap<DiffId, Descriptor> {
  return new Map([...present.layers, ...own.layers]);
}
