import type { Readable } from "node:stream";
import type { Digest, DiffId } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";

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
  /** Whole content, for JSON documents. @throws STORE_BLOB_NOT_FOUND, STORE_BLOB_TOO_LARGE over `limit` bytes */
  read(digest: Digest, limit?: number): Promise<Buffer>;
  /** @throws DIGEST_MISMATCH, SIZE_MISMATCH when `expected` is given and differs; DISK_FULL */
  write(
    content: Readable,
    expected?: { readonly digest: Digest; readonly size?: number },
    signal?: AbortSignal,
  ): Promise<{ readonly digest: Digest; readonly size: number }>;
  writeBytes(bytes: Uint8Array): Promise<{ readonly digest: Digest; readonly size: number }>;
  remove(digest: Digest): Promise<void>;
  list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }>;
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

/** Image names, one small file each, replaced by rename. */
export interface NameStore {
  get(name: string): Promise<NameRecord | undefined>;
  set(record: Omit<NameRecord, "updated">): Promise<void>;
  /** True when it was there. */
  remove(name: string): Promise<boolean>;
  /** Sorted by name. */
  list(): Promise<readonly NameRecord[]>;
}

/**
 * Which blobs hold a layer in which form: diffId → descriptors of compressed or plain tars of exactly those bytes.
 * A hint, never a promise: the blob may be gone.
 */
export interface LayerBlobIndex {
  get(diffId: DiffId): Promise<readonly Descriptor[]>;
  add(diffId: DiffId, descriptor: Descriptor): Promise<void>;
  remove(diffId: DiffId): Promise<void>;
  list(): AsyncIterable<DiffId>;
}

/**
 * The state root (DESIGN: `--root`, `$TSBUILD_ROOT`, `/var/lib/tsbuild` or `$XDG_DATA_HOME/tsbuild`), shared by any
 * number of processes. Opening sweeps what dead processes left in `tmp/`.
 */
export interface Store {
  readonly root: string;
  /** This process' own folder `tmp/<process>`, on the same filesystem as everything else; removed by `close`. */
  readonly tmpDir: string;
  readonly blobs: BlobStore;
  readonly names: NameStore;
  readonly layerBlobs: LayerBlobIndex;
  /**
   * Runs `work` while no gc can start (shared lock). Everything that reads or writes content which is not yet
   * referred to by a root of gc happens inside.
   */
  protect<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` while no other process is protected; undefined, without waiting, when some process is. */
  tryExclusive<T>(work: () => Promise<T>): Promise<T | undefined>;
  /** An exclusive lock by name across processes, waited for; used for cache mounts and same-digest downloads. */
  withLock<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** One syncfs of the filesystem; afterwards what was written before survives a power cut. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
