import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder, errnoOf, versionLength, writeFileAtomic } from "../core/index.ts";
import { decodeStatTable, type StatTable } from "./stat-table.ts";
import type { DigestBytes, StatCache, StatKey, StatRows } from "./types.ts";

const dayMs = 24 * 3600 * 1000;
/** Entries that no build asked for in so many days go when the file is written next. */
const keptDays = 30;

/**
 * The kernel stamps files with the time of its last tick, up to 10 ms ago; filesystems without fractions of a second
 * may round to two seconds.
 */
const tickNs = 20_000_000n;
const coarseNs = 2_000_000_000n;
const secondNs = 1_000_000_000n;

/** Before the year 1678: the table has no room for such a time. Those after 2262 are younger than any reading. */
const oldest = -(2n ** 63n);

const entriesAtOnce = 1000;

export interface StatCacheOptions {
  /** The cache's file; missing or broken is the same as empty. Its folder is created when needed. */
  readonly path: string;
  /** A folder on the same filesystem for the file that replaces it. */
  readonly tmpDir: string;
  /** Milliseconds since the epoch; the system's clock unless given. */
  readonly now?: () => number;
}

/**
 * Opens the file of remembered digests. Safe for many processes: it is replaced by rename, the last writer wins, and
 * what the other one knew is computed again.
 */
export async function openStatCache(options: StatCacheOptions): Promise<StatCache> {
  return new FileStatCache(options, decodeStatTable(readIfThere(options.path)));
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

class FileStatCache implements StatCache {
  readonly #options: StatCacheOptions;
  readonly #table: StatTable;
  readonly #today: number;
  readonly rows: StatRows;
  #isChanged = false;

  constructor(options: StatCacheOptions, table: StatTable) {
    this.rows = {
      paths: table.paths,
      get: (row) => table.findRow(row, this.#today),
      set: (row, { digest, readAt }) => {
        const { numbers } = row.versions;
        const at = versionLength * row.index;
        if (isRacy(numbers[at + 1] ?? 0n, numbers[at + 2] ?? 0n, readAt)) return;
        table.setRow(row, digest, this.#today);
        this.#isChanged = true;
      },
    };
    this.#options = options;
    this.#table = table;
    this.#today = Math.floor((options.now ?? Date.now)() / dayMs);
  }

  get(key: StatKey): DigestBytes | undefined {
    return this.#table.find(key, this.#today);
  }

  set(entry: {
    readonly key: StatKey;
    readonly digest: DigestBytes;
    readonly readAt: bigint;
  }): void {
    const { key, digest, readAt } = entry;
    if (isRacy(key.mtimeNs, key.ctimeNs, readAt) || key.mtimeNs < oldest) return;
    this.#table.set({ key, digest, lastUsed: this.#today });
    this.#isChanged = true;
  }

  async save(): Promise<void> {
    if (!this.#isChanged) return;
    const { path, tmpDir } = this.#options;
    const table = this.#table.since(this.#today - keptDays);
    const parts = table.encode();
    // What is short is written at once.
    const content = table.size > entriesAtOnce ? parts : Buffer.concat(parts);
    makeFolder(dirname(path));
    await writeFileAtomic({ path, tmpDir, content });
  }
}

/** Whether a change right after the reading could have left size and times as they are. */
function isRacy(mtimeNs: bigint, ctimeNs: bigint, readAt: bigint): boolean {
  const isCoarse = mtimeNs % secondNs === 0n && ctimeNs % secondNs === 0n;
  const youngest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  return youngest + (isCoarse ? coarseNs : tickNs) >= readAt;
}
