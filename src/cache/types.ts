import type { ChainId, Digest, DiffId, JsonValue } from "../core/index.ts";

/**
 * The key of a vertex as an ordered, comparable object; a digest of it names the record. `fields` are in the
 * order in which a reader would ask ("which instruction, which env, which files"), so that the first difference
 * between two keys is the reason why a step reran.
 */
export interface CacheKeyObject {
  readonly version: 1;
  readonly kind: "definition" | "content";
  readonly fields: KeyFields;
}

/** Fields in their order. */
export interface KeyFields extends Iterable<KeyField> {
  /** The same as JSON, each with a line break behind it, in parts: where that is made with less than the fields. */
  lines?(): Iterable<FieldLines>;
}

export interface FieldLines {
  readonly text: string;
  /** Fields in it. */
  readonly count: number;
}

export interface KeyField {
  /** Such as `instruction`, `env.PATH`, `base`, `file:package.json`. */
  readonly name: string;
  readonly value: JsonValue;
}

/** What a vertex produced. Holds the whole parent chain: using a record means using exactly that chain. */
export interface CacheRecord {
  readonly version: 1;
  /** Layers of the result, bottom first; empty for an empty root. */
  readonly diffIds: readonly DiffId[];
  readonly chainId: ChainId | undefined;
  /** ISO time at which the work was done. */
  readonly created: string;
  /** How long the work took, in milliseconds: later estimates come from here. */
  readonly durationMs: number;
  readonly bootId: string;
  /** Set by `markDurable` after the filesystem was synced; records of another boot without it are ignored. */
  readonly durable: boolean;
}

/**
 * Vertex results by key. Implementations: local directory; later registry, inline, directory export. All pass one
 * contract suite. A broken, foreign or half-written record is a miss, never an error.
 */
export interface Cache {
  lookup(key: Digest): Promise<CacheRecord | undefined>;
  /** What `lookup` would find, for whoever only asks what a build would do: it does not count as a use, and changes nothing. */
  peek(key: Digest): Promise<CacheRecord | undefined>;
  /** Writes record and key object; the key object lies in a second file that a lookup does not read. */
  store(
    key: Digest,
    object: CacheKeyObject,
    record: Omit<CacheRecord, "version" | "bootId" | "durable">,
  ): Promise<void>;
  /**
   * The key object of a record, for explanations; undefined when it is not known. Its fields are read as they are asked
   * for, again each time, and asking fails with CACHE_KEY_DAMAGED where they cannot be.
   */
  explain(key: Digest): Promise<CacheKeyObject | undefined>;
  /** Idempotent. */
  remove(key: Digest): Promise<void>;
  /** Whether there is no record at all, and no lookup can find one. */
  isEmpty(): Promise<boolean>;
  /** Records that a lookup would find, in byte order of their keys. */
  list(): AsyncIterable<CacheEntry>;
}

export interface CacheEntry {
  readonly key: Digest;
  readonly record: CacheRecord;
  /** When it was stored or found, give or take an hour. */
  readonly lastUsed: Date;
  /** Bytes of the record and its key object; the layers count elsewhere. */
  readonly size: number;
}

/** What the last build of one target (context + file + target) did, for explanations. */
export interface BuildRecord {
  /** In the order of the plan: inputs come before users. */
  readonly steps: readonly TracedStep[];
  /** ISO time. */
  readonly finished: string;
}

/** One vertex of a plan, and what became of it. */
export interface TracedStep {
  /** As progress shows it. */
  readonly name: string;
  /** Positions in the list. */
  readonly inputs: readonly number[];
  /** Key by definition; absent for trees that have none of their own, such as a context. */
  readonly key?: Digest;
  /** Key by content, where it had to be asked for. */
  readonly content?: Digest;
  /** The key's own fields, where no record keeps them: which image, which commit. */
  readonly fields?: readonly KeyField[];
  /** ChainId of what came out, or `scratch`; absent where nobody had to know. */
  readonly result?: string;
  /** Absent for what is no step. */
  readonly outcome?: "cached" | "ran";
  readonly durationMs?: number;
}
