import type { Readable } from "node:stream";
import type { ChainId, DiffId, JobThread, PlainFiles, RootfsMount } from "../core/index.ts";
import type {
  LayerEntryWithContent,
  LocalFile,
  MergedTree,
  OpenedFile,
  RootPath,
} from "../layer/index.ts";

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
  /**
   * Whether the tar of `diff` has this diffId: true for what was built here. The tar of a layer that was pulled was
   * encoded by somebody else; only its blob gives those bytes again.
   */
  readonly reproducible: boolean;
}

/** How a node is to look. Overlayfs' own xattrs among `xattrs` are dropped. */
export interface NodeAttributes {
  /** Permission bits including setuid, setgid and sticky: 0 to 0o7777. Of no meaning for symlinks. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly xattrs?: ReadonlyMap<string, Buffer> | undefined;
}

export interface Device {
  readonly type: "char-device" | "block-device";
  readonly major: number;
  readonly minor: number;
}

/** What a small file holds: some bytes, or an open file. */
export type SmallContent = Buffer | Pick<OpenedFile, "fd" | "size">;

/** Small files of one directory, without attributes, that are read a little later, maybe by another thread. */
export interface LaterFiles {
  /** What has to be there when they are read. */
  readonly files: PlainFiles;
  /** The directory that they go into. */
  readonly to: RootPath;
  /** How each is to look. */
  readonly modes: Uint16Array;
  readonly uid: number;
  readonly gid: number;
  /** Opens one in this thread. @throws what is wrong when it is not that version, or has attributes */
  open(index: number): LocalFile;
}

/** Asks for digests of such files. */
export interface WantedDigests {
  /** ASCII that comes before the content; empty where no digest is wanted. Asked once for each file. */
  head(index: number): string;
  /** Called with the bytes of a digest, which are looked at at once, when the content is proved to be of its version. */
  learn(index: number, digest: Uint8Array): void;
}

export interface TreeWriterOptions {
  /** Looks of parents that exist nowhere yet; 0755, 0:0, time 0 unless given. */
  readonly implied?: NodeAttributes;
  /** Makes a part of the files of `smallFile`. */
  readonly thread?: JobThread | undefined;
  /** How to tell what such a file failed with, which is found when something else is at hand. */
  readonly tellFile?: (error: unknown, path: RootPath) => unknown;
  /** Ends the writing of a large file between two parts, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Content to write: bytes, a stream that is read to its end, or an open file, which is copied inside the kernel from
 * its beginning and stays open.
 */
export type FileContent = Buffer | Readable | Pick<OpenedFile, "fd" | "size">;

/**
 * Writes nodes into an active snapshot so that the result is its diff: parents are copied up, whiteouts and opaque marks
 * made where needed. Paths are literal: resolve symlinks before (`resolvePath(active.tree, …)`). Missing parents are
 * created, 0755 owned by 0:0 with time 0 unless opened otherwise. Whatever is at a path already is replaced, except that
 * `directory` on a directory only changes its attributes.
 *
 * Directories keep their times, also when something is written into them; `finish` sees to that. One writer at a time.
 *
 * ```ts
 * const writer = openTreeWriter(active);
 * await writer.directory(toRootPath("srv"), attributes);
 * await writer.file(toRootPath("srv/app.js"), attributes, { fd, size });
 * await writer.finish();
 * ```
 *
 * @throws SNAPSHOT_NOT_A_DIRECTORY when a parent is something else; DISK_FULL
 */
export interface TreeWriter {
  directory(path: RootPath, attributes: NodeAttributes): Promise<void>;
  /** The same at once. False, with nothing done, when that cannot be: then `directory` is to be called. */
  newDirectory(path: RootPath, attributes: NodeAttributes): boolean;
  file(path: RootPath, attributes: NodeAttributes, content: FileContent): Promise<void>;
  /**
   * The same at once, for a file of up to a megabyte where nothing is in the way. False, with nothing done, when that is
   * not so: then `file` is to be called. With a thread, the content is read when this returns, but the file is only sure
   * to be there after `settle`, `finish`, or any other method that waits.
   */
  smallFile(path: RootPath, attributes: NodeAttributes, content: SmallContent): boolean;
  /** Whether `laterFiles` may take files now, and is the quicker way. */
  readonly canReadLater: boolean;
  /** Waits, where it takes that, until files can be taken again. Undefined where nothing has to be waited for. */
  room(): Promise<void> | undefined;
  /** Whether `takesLater` may say yes to some file. Once it may not, it never does. */
  readonly mayTakeLater: boolean;
  /** How many of these, from the first on, `laterFiles` takes now; for others `smallFile` is to be called. */
  takesLater(files: LaterFiles): number;
  /**
   * Makes the first `count` of these files, of which `takesLater` has just said so. They are read before the last method that
   * waits is over, and what is wrong with them is told by any later call.
   */
  laterFiles(files: LaterFiles, count: number, digests: WantedDigests | undefined): void;
  symlink(path: RootPath, attributes: NodeAttributes, target: Buffer): Promise<void>;
  /**
   * A second name for `target`, which is copied up first.
   * @throws SNAPSHOT_ENTRY_NOT_FOUND; SNAPSHOT_NOT_A_FILE for a directory
   */
  hardlink(path: RootPath, target: RootPath): Promise<void>;
  device(path: RootPath, attributes: NodeAttributes, device: Device): Promise<void>;
  fifo(path: RootPath, attributes: NodeAttributes): Promise<void>;
  /**
   * One more name for a node that is complete elsewhere (no directory), and looks as `attributes` and `device` say. False
   * when the filesystem allows no more names for it: then it has to be written like any other.
   */
  share(
    path: RootPath,
    node: {
      readonly absolute: Buffer;
      readonly attributes: NodeAttributes;
      readonly device?: Device | undefined;
    },
  ): Promise<boolean>;
  /** Changes only what is given. @throws SNAPSHOT_ENTRY_NOT_FOUND */
  setAttributes(path: RootPath, attributes: Partial<NodeAttributes>): Promise<void>;
  /** Removes a node with everything below it; nothing there is success. */
  remove(path: RootPath): Promise<void>;
  /** A layer's whiteout: what lower layers have at `path` is gone, what this layer wrote there stays. */
  hideLower(path: RootPath): Promise<void>;
  /** A layer's opaque mark: the same for everything below directory `path`, which is created when missing. */
  hideLowerChildren(path: RootPath): Promise<void>;
  /** Waits until everything is on the disk that was written; of `path` alone when it is given, which may be less. */
  settle(path?: RootPath): Promise<void>;
  /** Waits until nothing is being written any more, whatever is missing: before the layer is given up. */
  stop(): Promise<void>;
  /** Sets the times of directories. Call it once, at the end. */
  finish(): Promise<void>;
}

/**
 * A filesystem state that is being written: the changes go to `directory`, in the form of the snapshotter.
 */
export interface ActiveSnapshot {
  readonly key: string;
  readonly parent: ChainId | undefined;
  /** Absolute path of the directory that holds this layer's own entries. */
  readonly directory: string;
  /** The state as it is now, changes included. */
  readonly tree: MergedTree;
  /** For the sandbox. `skeleton`: directories to put below everything else, topmost first. */
  mount(options?: { readonly skeleton?: readonly string[] }): Promise<RootfsMount>;
  /**
   * To be called when a process that ran on the mount is gone: its changes are in `directory` then. `commit` does it too.
   * Between `mount` and this, no writer may be opened.
   */
  unmount(): Promise<void>;
  /**
   * Whether a skeleton's node at `path`, where the tree has nothing, would show: not below an opaque directory, and not
   * where a layer removed something.
   */
  showsSkeleton(path: RootPath): boolean;
  /** `openTreeWriter` is the name to call. */
  openWriter(options?: TreeWriterOptions): TreeWriter;
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
 * The files of a layer that nobody has read yet may be kept as a tar (`PrepareOptions.asTar`). Whatever needs files makes
 * them first: `prepare` on such a layer, `tree`, `view`.
 *
 * Safe for many processes: active snapshots live in the process' own tmp folder and become visible by one rename;
 * when another process committed the same chain first, `commit` returns that one. After a crash an active snapshot is
 * garbage that the next sweep removes.
 */
export interface Snapshotter {
  readonly kind: "overlayfs" | "copy";
  /** @throws SNAPSHOT_NOT_FOUND when the parent (or one of its parents) is not here */
  prepare(parent: ChainId | undefined, options?: PrepareOptions): Promise<ActiveSnapshot>;
  /** The sandbox' mounts must be gone. */
  commit(active: ActiveSnapshot, options?: CommitOptions): Promise<Snapshot>;
  abandon(active: ActiveSnapshot): Promise<void>;
  /** undefined unless the snapshot and its whole parent chain are here. */
  stat(chainId: ChainId): Promise<Snapshot | undefined>;
  /** Whether it lies here in the other kind's form, of which this one can make no use. */
  isOfOtherKind(chainId: ChainId): boolean;
  /** Bytes that a committed layer takes up here: as files, as a tar, or as both until the tar goes. */
  spaceOf(snapshot: Snapshot): number;
  /** The stack from the bottom to `chainId`. @throws SNAPSHOT_NOT_FOUND */
  chain(chainId: ChainId): Promise<readonly Snapshot[]>;
  /**
   * A file beside a committed snapshot's own, for whoever wants to remember something of its state: it goes with the
   * snapshot, may be missing, and after a power cut may be anything.
   */
  notesOf(chainId: ChainId): string;
  /** Read-only view of a committed state; of an empty root for undefined. */
  tree(chainId: ChainId | undefined): Promise<MergedTree>;
  /** Read-only mount of a committed state. */
  view(chainId: ChainId | undefined): Promise<RootfsMount>;
  /**
   * Applies one layer's entries on `parent` and commits. The computed diffId is the digest of the tar as it was read
   * (`layer.diffId()`, known after the last entry), not of our own encoding.
   * @throws LAYER_* for hostile or broken input; nothing is left then
   */
  apply(
    parent: ChainId | undefined,
    layer: LayerSource,
    /** `thread` makes a part of the small files. */
    options?: { readonly thread?: JobThread | undefined },
  ): Promise<Snapshot>;
  /**
   * Puts `layer`, a snapshot without a parent, on `parent`, as any layer of an image is put on the one below. Its files are
   * shared by hard links, and its diffId stays. Without a parent it is `layer` itself.
   * @throws SNAPSHOT_NOT_FOUND
   */
  restack(parent: ChainId | undefined, layer: ChainId): Promise<Snapshot>;
  /** Entries of one layer in tar order, whiteouts by their tar names: what `local/` streams out as a layer tar. */
  diff(chainId: ChainId): AsyncIterable<LayerEntryWithContent>;
  /** The layer's tar where it is kept as one; undefined where only `diff` tells it. Nothing proves the bytes. */
  openTar(
    chainId: ChainId,
    /** `isPassing`: each part is looked at no more when the next one is asked for. */
    options?: { readonly isPassing?: boolean | undefined },
  ): AsyncIterable<Uint8Array> | undefined;
  list(): AsyncIterable<Snapshot>;
  /**
   * Whether the files of a snapshot are still those that were committed. Reads all of them. For a layer that was applied
   * (`reproducible` is false) that takes `layer`, from which it is made once more; undefined without.
   * @throws SNAPSHOT_NOT_FOUND; what reading `layer` throws
   */
  isIntact(chainId: ChainId, layer?: LayerSource): Promise<boolean | undefined>;
  /**
   * Makes every snapshot that was committed or used through this object outlive a power cut: calls `sync`, which has to
   * write the filesystem to the disk, and marks them. Without the mark a snapshot is none for the next boot, for its files
   * may be lost though its record is not. Calls nothing when all are marked.
   */
  makeDurable(sync: () => Promise<void>): Promise<void>;
  /**
   * Says of every snapshot that has no such mark yet that it is none: the disk has lost something. `makeDurable` does it
   * when `sync` fails.
   */
  distrustUnsynced(): void;
  /** Removes what a power cut left of snapshots, while nobody else is at work; how many. */
  sweep(): Promise<number>;
  /** Removes one snapshot. The caller (gc) makes sure that nothing refers to it. Idempotent. */
  remove(chainId: ChainId): Promise<void>;
}

export interface CommitOptions {
  /** Now unless given. */
  readonly created?: Date;
  readonly signal?: AbortSignal | undefined;
}

export interface PrepareOptions {
  /**
   * Folder to keep the changes in, on the same filesystem as the snapshots: for containers, which outlive the process.
   * Their owner removes the folder. By default it is one in the process' own tmp folder.
   */
  readonly directory?: string;
  /**
   * The layer is kept as a tar as far as that goes: nobody is going to read its files soon. It takes one writer, and
   * neither `directory` nor `mount` may be asked for; what the writer wrote need not show in `tree`.
   */
  readonly asTar?: boolean | undefined;
}

export interface LayerSource {
  readonly entries: AsyncIterable<LayerEntryWithContent>;
  /** When the layer was made, where somebody knows; now otherwise. */
  readonly created?: Date | undefined;
  /** Called after the last entry was read; rejects when the data was not what was promised. */
  finish(): Promise<{ readonly diffId: DiffId; readonly tarSize: number }>;
}
