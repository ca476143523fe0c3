import type { ChainId, DiffId, RootfsMount } from "../core/index.ts";
import type { LayerEntryWithContent, MergedTree } from "../layer/index.ts";

/** A committed snapshot: one layer's files on its parents. Named by its chainId, so equal stacks are one snapshot. */
export interface Snapshot {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly parent: ChainId | undefined;
  /** Bytes of the uncompressed layer tar. */
  readonly tarSize: number;
  /** Bytes of file content in this layer alone. */
  readonly contentSize: number;
  /** ISO time of the commit; the `created` of its history entry. */
  readonly created: string;
}

/**
 * A filesystem state that is being written: the changes go to `directory` (overlayfs form: whiteouts are character
 * devices 0:0, opaque directories carry the xattr).
 */
export interface ActiveSnapshot {
  readonly key: string;
  readonly parent: ChainId | undefined;
  /** Absolute path of the directory that holds this layer's own entries. */
  readonly directory: string;
  /** The state as it is now, changes included. */
  readonly tree: MergedTree;
  /** For the sandbox. `skeleton`: directories to put below everything else, topmost first. */
  mount(options?: { readonly skeleton?: readonly string[] }): RootfsMount;
}

/**
 * Filesystem states by layer, in the manner of containerd's snapshots: `prepare` begins a writable state on a parent,
 * `commit` hashes it (diffId) and gives it its final name, `abandon` drops it. Committed snapshots never change.
 *
 * ```ts
 * const active = await snapshots.prepare(parent);
 * // write to active.directory, or run a sandbox on active.mount()
 * const snapshot = await snapshots.commit(active);
 * ```
 *
 * Safe for many processes: active snapshots live in the process' own tmp folder and become visible by one rename;
 * when another process committed the same chain first, `commit` returns that one. After a crash an active snapshot is
 * garbage that the next sweep removes.
 */
export interface Snapshotter {
  readonly kind: "overlayfs" | "copy";
  /** @throws SNAPSHOT_NOT_FOUND when the parent (or one of its parents) is not here */
  prepare(parent: ChainId | undefined): Promise<ActiveSnapshot>;
  /** The sandbox' mounts must be gone. `created` defaults to now. */
  commit(active: ActiveSnapshot, options?: { readonly created?: Date }): Promise<Snapshot>;
  abandon(active: ActiveSnapshot): Promise<void>;
  /** undefined unless the snapshot and its whole parent chain are here. */
  stat(chainId: ChainId): Promise<Snapshot | undefined>;
  /** The stack from the bottom to `chainId`. @throws SNAPSHOT_NOT_FOUND */
  chain(chainId: ChainId): Promise<readonly Snapshot[]>;
  /** Read-only view of a committed state; of an empty root for undefined. */
  tree(chainId: ChainId | undefined): Promise<MergedTree>;
  /** Read-only mount of a committed state. */
  view(chainId: ChainId | undefined): Promise<RootfsMount>;
  /**
   * Applies one layer's entries on `parent` and commits. The computed diffId is the digest of the tar as it was read
   * (`layer.diffId()`, known after the last entry), not of our own encoding.
   * @throws LAYER_* for hostile or broken input; nothing is left then
   */
  apply(parent: ChainId | undefined, layer: LayerSource): Promise<Snapshot>;
  /** Entries of one layer in tar order, whiteouts by their tar names: what `local/` streams out as a layer tar. */
  diff(chainId: ChainId): AsyncIterable<LayerEntryWithContent>;
  list(): AsyncIterable<Snapshot>;
  /** Removes one snapshot. The caller (gc) makes sure that nothing refers to it. Idempotent. */
  remove(chainId: ChainId): Promise<void>;
}

export interface LayerSource {
  readonly entries: AsyncIterable<LayerEntryWithContent>;
  /** Called after the last entry was read; rejects when the data was not what was promised. */
  finish(): Promise<{ readonly diffId: DiffId; readonly tarSize: number }>;
}
