import {
  closeSync,
  type Dir,
  fstatSync,
  futimesSync,
  openSync,
  opendirSync,
  readFileSync,
} from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type Clock,
  type Digest,
  digestHex,
  errnoOf,
  isDigest,
  readBootId,
  systemClock,
} from "../core/index.ts";
import {
  parseJson,
  readJsonFile,
  readJsonFileSync,
  writeJsonFile,
  writeTextFile,
} from "../store/index.ts";
import { formatCacheKey, readCacheKey } from "./key-file.ts";
import { parseBuildRecord, parseCacheRecord } from "./record.ts";
import type { BuildRecord, Cache, CacheEntry, CacheRecord } from "./types.ts";

/** The cache of one machine, in its state root: the only one that a build always has. */
export interface LocalCache extends Cache {
  /**
   * Marks records as safe from a power cut. To be called after a sync of the filesystem that came after they and the
   * snapshots they name were written (`Store.sync`): one for all records of a build. Missing ones are passed over.
   */
  markDurable(keys: readonly Digest[]): Promise<void>;
  /**
   * Removes files that are no records any more: damaged ones, those of another boot that were never marked, key objects
   * without a record.
   */
  sweep(options?: {
    /** Only tell. */
    readonly dryRun?: boolean;
  }): Promise<{ readonly removed: number; readonly bytes: number }>;
  /** Keeps what the last build of a target did, unless the one before did just the same. `build` names the target; the file is `builds/<hex>.json`. */
  saveBuildRecord(build: Digest, record: BuildRecord): Promise<void>;
  loadBuildRecord(build: Digest): Promise<BuildRecord | undefined>;
}

/** A record is stamped as used at most this often, in milliseconds, so that reading seldom writes. */
const touchInterval = 60 * 60 * 1000;

/**
 * Records as `cache/<hex of key>.json` below `directory`, each with its key object beside it in `<hex>.key.json`; a
 * record's mtime is its last use. Records of another boot that were never marked durable are misses.
 */
export function openLocalCache(options: {
  readonly directory: string;
  /** A folder of this process on the same filesystem. */
  readonly tmpDir: string;
  readonly clock?: Clock;
  readonly bootId?: string;
}): LocalCache {
  const { directory, tmpDir, clock = systemClock } = options;
  const records = join(directory, "cache");
  const recordPath = (key: Digest): string => join(records, `${digestHex(key)}.json`);
  const keyPath = (key: Digest): string => join(records, `${digestHex(key)}.key.json`);
  const buildPath = (build: Digest): string =>
    join(directory, "builds", `${digestHex(build)}.json`);
  let bootId = options.bootId;
  const isTrusted = (record: CacheRecord): boolean =>
    record.durable || record.bootId === (bootId ??= readBootId());
  const trusted = (record: CacheRecord | undefined): CacheRecord | undefined =>
    record !== undefined && isTrusted(record) ? record : undefined;

  return {
    lookup: async (key) => trusted(readRecord(recordPath(key), (file) => touch(file, clock))),
    peek: async (key) => trusted(readRecord(recordPath(key))),
    store: async (key, object, content) => {
      const { diffIds, chainId, created, durationMs } = content;
      bootId ??= readBootId();
      const facts = { diffIds, chainId, created, durationMs };
      const value: CacheRecord = { version: 1, ...facts, bootId, durable: false };
      await writeTextFile({ path: keyPath(key), tmpDir, content: () => formatCacheKey(object) });
      await writeJsonFile({ path: recordPath(key), tmpDir, value });
    },
    explain: async (key) => readCacheKey(keyPath(key)),
    remove: async (key) => {
      await rm(recordPath(key), { force: true });
      await rm(keyPath(key), { force: true });
    },
    isEmpty: async () => !hasRecords(records),
    list: () => listRecords(records, isTrusted),
    markDurable: async (keys) => {
      for (const key of new Set(keys)) {
        const record = await readJsonFile(recordPath(key), parseCacheRecord);
        if (record === undefined || record.durable || !isTrusted(record)) continue;
        await writeJsonFile({ path: recordPath(key), tmpDir, value: { ...record, durable: true } });
      }
    },
    sweep: async ({ dryRun = false } = {}) => sweepRecords(records, { isTrusted, dryRun }),
    saveBuildRecord: async (build, record) => {
      const present = readJsonFileSync(buildPath(build), parseBuildRecord);
      if (present !== undefined && isSameBuild(present, record)) return;
      await writeJsonFile({ path: buildPath(build), tmpDir, value: record });
    },
    loadBuildRecord: async (build) => readJsonFile(buildPath(build), parseBuildRecord),
  };
}

/** A rebuild that did the same as the one before writes nothing. */
function isSameBuild(present: BuildRecord, { steps }: BuildRecord): boolean {
  return JSON.stringify(present.steps) === JSON.stringify(steps);
}

/**
 * Synchronous, because a cached build is hardly more than its lookups: 12 take 0.5 ms this way and 4 ms by way of the
 * thread pool.
 */
function readRecord(path: string, use?: (file: number) => void): CacheRecord | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const record = parseJson(readFileSync(file, "utf8"), parseCacheRecord);
    if (record !== undefined) use?.(file);
    return record;
  } finally {
    closeSync(file);
  }
}

function touch(file: number, clock: Clock): void {
  const now = clock.now();
  if (now.getTime() - fstatSync(file).mtimeMs < touchInterval) return;
  try {
    futimesSync(file, now, now);
  } catch (error) {
    // A cache that may only be read is still a cache.
    if (!["EROFS", "EPERM", "EACCES"].includes(errnoOf(error) ?? "")) throw error;
  }
}

/** Without listing all of them: every build asks. */
function hasRecords(records: string): boolean {
  let folder: Dir;
  try {
    folder = opendirSync(records);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
  try {
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync())
      if (keyOfFile(entry.name) !== undefined) return true;
    return false;
  } finally {
    folder.closeSync();
  }
}

async function* listRecords(
  records: string,
  isTrusted: (record: CacheRecord) => boolean,
): AsyncGenerator<CacheEntry> {
  for (const name of await namesIn(records)) {
    const key = keyOfFile(name);
    if (key === undefined || isKeyFile(name)) continue;
    const entry = await readEntry(records, key);
    if (entry !== undefined && isTrusted(entry.record)) yield entry;
  }
}

async function sweepRecords(
  records: string,
  {
    isTrusted,
    dryRun,
  }: { readonly isTrusted: (record: CacheRecord) => boolean; readonly dryRun: boolean },
): Promise<{ removed: number; bytes: number }> {
  const living = new Set<Digest>();
  for await (const { key } of listRecords(records, isTrusted)) living.add(key);
  const swept = { removed: 0, bytes: 0 };
  for (const name of await namesIn(records)) {
    const key = keyOfFile(name);
    // Whatever else lies here is not ours.
    if (key === undefined || living.has(key)) continue;
    const path = join(records, name);
    swept.bytes += await sizeOf(path);
    swept.removed += 1;
    if (!dryRun) await rm(path, { force: true });
  }
  return swept;
}

/** Key of a record file or of the key object beside it. */
function keyOfFile(name: string): Digest | undefined {
  const hex = /^([0-9a-f]{64})(?:\.key)?\.json$/.exec(name)?.[1];
  const key = `sha256:${hex ?? ""}`;
  return isDigest(key) ? key : undefined;
}

function isKeyFile(name: string): boolean {
  return name.endsWith(".key.json");
}

async function readEntry(records: string, key: Digest): Promise<CacheEntry | undefined> {
  const path = join(records, `${digestHex(key)}.json`);
  try {
    const { mtime, size } = await stat(path);
    const record = parseJson(await readFile(path, "utf8"), parseCacheRecord);
    if (record === undefined) return undefined;
    const keySize = await sizeOf(join(records, `${digestHex(key)}.key.json`));
    return { key, record, lastUsed: mtime, size: size + keySize };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return 0;
    throw error;
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
