import type { Readable } from "node:stream";
import type { Digest, DiffId } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { CacheMountStore } from "./cache-mounts.ts";
import type { SweepReport } from "./sweep.ts";

/**
 * Bytes by digest under `blobs/sha256/<hex>`. Writing: temporary file in this process' own folder, hashed while it
 * streams, fsync, rename. A blob that exists is complete and true.
 */
export interface BlobStore {
  has(digest: Digest): Promise<boolean>;
  /** Bytes; undefined when absent. */
  size(digest: Digest): Promise<number | undefined>;
  /** Absolute path, whether or not the blob exists. */
  path(digest: Digest): string;
  /** @throws STORE_BLOB_NOT_FOUND */
  open(digest: Digest): Promise<Readable>;
  /**
   * Whole content, verified, for JSON documents. Over `limit` bytes (8 MiB) is refused; damage counts as absence.
   * @throws STORE_BLOB_NOT_FOUND, STORE_BLOB_TOO_LARGE
   */
  read(digest: Digest, limit?: number): Promise<Buffer>;
  /**
   * Reads `content` to its end, or destroys it. Nothing is left of a failed write, except for the beginning of an
   * expected blob whose content broke off (`takePartial`).
   * @throws DIGEST_MISMATCH, SIZE_MISMATCH when `expected` is given and differs; DISK_FULL
   */
  write(
    content: Readable,
    expected?: { readonly digest: Digest; readonly size?: number },
    signal?: AbortSignal,
  ): Promise<{ readonly digest: Digest; readonly size: number }>;
  writeBytes(bytes: Uint8Array): Promise<{ readonly digest: Digest; readonly size: number }>;
  /**
   * The beginning of a blob whose writing broke off, here or in a process that was killed; undefined when there is none
   * of at least a MiB. It belongs to the caller, who hashes it again, and is gone when it was read.
   */
  takePartial(digest: Digest): Promise<PartialBlob | undefined>;
  /** Bytes that such beginnings take up. */
  partialSize(): Promise<number>;
  /** Removes them. */
  clearPartial(): Promise<{ readonly removed: number; readonly bytes: number }>;
  /** Idempotent. */
  remove(digest: Digest): Promise<void>;
  /** In byte order of the digests. */
  list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }>;
}

/** The first bytes of a blob; nothing proves them. */
export interface PartialBlob {
  readonly size: number;
  /** Read to its end or destroyed. */
  readonly content: Readable;
}

/** What an image name stands for. */
export interface NameRecord {
  /** Normalised name with tag, for example `docker.io/library/app:1.0`. */
  readonly name: string;
  /** A config (built here), a manifest, or an index (pulled, loaded). */
  readonly descriptor: Descriptor;
  /** Digest under which the registry knows it, when it came from or went to one. */
  readonly repoDigest?: Digest;
  /** ISO time of the last change. */
  readonly updated: string;
}

export interface SetNameOptions {
  /** The name stands for the record once this is over; when it rejects, for what it stood for before. */
  readonly after?: Promise<unknown> | undefined;
}

/** Image names, one small file each, replaced by rename. */
export interface NameStore {
  get(name: string): Promise<NameRecord | undefined>;
  /** Writes nothing, and keeps `updated`, when the name stands for just that already. */
  set(record: Omit<NameRecord, "updated">, options?: SetNameOptions): Promise<void>;
  /** True when it was there. */
  remove(name: string): Promise<boolean>;
  /** Sorted by name. */
  list(): Promise<readonly NameRecord[]>;
  /** Files among the names that are no records. */
  listDamaged(): Promise<readonly string[]>;
  /** Removes those; how many. */
  sweep(): Promise<number>;
}

/** A level of the compression that a blob's media type tells; `own` is our own encoder, which has but one. */
export type BlobLevel = number | "own";

/** A blob of a layer. */
export interface LayerBlob extends Descriptor {
  /**
   * At which levels the layer became just these bytes when it was compressed here. Absent for blobs that came from
   * elsewhere, and in records of versions that did not note it.
   */
  readonly levels?: readonly BlobLevel[];
}

/**
 * Which blobs hold a layer in which form: diffId → descriptors of compressed or plain tars of exactly those bytes.
 * A hint, never a promise: the blob may be gone.
 */
export interface LayerBlobIndex {
  get(diffId: DiffId): Promise<readonly LayerBlob[]>;
  /** Levels that are known of the blob stay known. */
  add(diffId: DiffId, blob: LayerBlob): Promise<void>;
  /** Forgets one blob of the layer, or all of them. */
  remove(diffId: DiffId, blob?: Digest): Promise<void>;
  list(): AsyncIterable<DiffId>;
}

/** A blob of a layer, and a place that is likely to have it, as `--cache-from` names places. */
export interface LayerOrigin {
  readonly blob: Descriptor;
  readonly place: string;
  /** ISO time at which the layer was made, where that is known. */
  readonly created?: string | undefined;
}

/** Where layers can be had that are not here: those of steps that other machines ran. A hint, as `LayerBlobIndex` is. */
export interface LayerOriginIndex {
  /** The latest one first. */
  get(diffId: DiffId): Promise<readonly LayerOrigin[]>;
  add(diffId: DiffId, origin: LayerOrigin): Promise<void>;
  remove(diffId: DiffId): Promise<void>;
  list(): AsyncIterable<DiffId>;
}

/**
 * The state root (`--root`, `$TSBUILD_ROOT`, `/var/lib/tsbuild` or `$XDG_DATA_HOME/tsbuild`), shared by any number of
 * processes of one machine. Opening sweeps what dead processes left in `tmp/`.
 *
 * ```ts
 * const store = await openStore({ root });
 * try {
 *   await store.protect(async () => {
 *     const { digest } = await store.blobs.writeBytes(bytes);
 *     await store.names.set({ name, descriptor: { mediaType, digest, size: bytes.length } });
 *   });
 * } finally {
 *   await store.close();
 * }
 * ```
 */
export interface Store {
  readonly root: string;
  /** This process' own folder `tmp/<process>`, on the same filesystem as everything else; removed by `close`. */
  readonly tmpDir: string;
  readonly blobs: BlobStore;
  readonly names: NameStore;
  readonly layerBlobs: LayerBlobIndex;
  readonly layerOrigins: LayerOriginIndex;
  readonly cacheMounts: CacheMountStore;
  /**
   * Runs `work` while no gc can start (shared lock). Everything that reads or writes content which is not yet
   * referred to by a root of gc happens inside. Waits for a gc that is running; may be nested.
   */
  protect<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Runs `work` while nobody is protected; undefined, without waiting, when somebody is, in this process too. */
  tryExclusive<T>(work: () => Promise<T>): Promise<T | undefined>;
  /** An exclusive lock by name across processes, waited for; used for cache mounts and same-digest downloads. */
  withLock<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Removes what dead processes left in `tmp/`, as opening does on its own; waits for it and tells what happened. */
  sweep(): Promise<SweepReport>;
  /**
   * Begins to write the filesystem to the disk and waits for nothing, so that `sync` finds less to do. A failure is told by
   * `sync`.
   */
  beginSync(): void;
  /** One syncfs of the filesystem; afterwards what was written before survives a power cut. */
  sync(): Promise<void>;
  /**
   * Waits for what `beginSync` began; whether a write has failed. Then what is not durable yet cannot be trusted: the
   * kernel told this process, and will not tell the next one.
   */
  hasLostWrites(): Promise<boolean>;
  /** Removes this process' folder. Idempotent. A process that ends without is swept by a later one. */
  close(): Promise<void>;
}
