import type { Digest, FileVersions } from "../core/index.ts";
import type { MergedTree, NodeStat, RootPath, StatKey } from "../layer/index.ts";
import type { PathIndex } from "./path-index.ts";

export type { StatKey } from "../layer/index.ts";

/**
 * A build context: a tree of files from a directory, seen through its ignore rules. Excluded paths are simply not
 * there. It is a MergedTree, so COPY reads a context and a stage in the same way; owners are 0:0 as the reference
 * builder presents them, and a socket is an empty regular file.
 */
export interface BuildContext extends MergedTree {
  /** How messages name it: the path or URL as the user gave it. */
  readonly label: string;
  /** Where digests of its files are remembered. */
  readonly statCache: StatCache | undefined;
  /** Like MergedTree's, with what a stat cache needs to know the file again. */
  lstat(path: RootPath): Promise<HostNodeStat | undefined>;
  /** Whether the ignore rules hide `path`, and by which rule, for error messages. */
  ignoredBy(path: RootPath): IgnoreRule | undefined;
  /** Names in a directory that the ignore rules take away, in byte order; what is below them is not looked at. */
  hidden(path: RootPath): readonly Buffer[];
  /**
   * Says that the digest of a file or symlink was taken at this version: from now on `openFile` and `readlink` of another
   * version fail with CONTEXT_FILE_CHANGED, so that what is copied is what was counted.
   */
  pin(version: StatKey): void;
}

/** A node of a tree whose files lie on this host as they are. */
export interface HostNodeStat extends NodeStat {
  readonly statKey: StatKey;
}

export interface IgnoreRule {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** As written, with its `!`. */
  readonly pattern: string;
}

/** One node that an op reads, with everything that enters its checksum. */
export interface FileDigest {
  /** Path from the root of the tree, as text (invalid UTF-8 is escaped as \xNN); `.` for the root itself. */
  readonly path: string;
  /** Digest over header (type, mode, uid, gid, size, link target, device, xattrs) and content. Not mtime. */
  readonly digest: Digest;
  readonly mode: number;
}

/** The 32 bytes of a digest. Of many files, that is what is kept, and no text is made of it. */
export type DigestBytes = Uint8Array;

/** A file whose path has a number, and its version. */
export interface StatRow {
  readonly number: number;
  readonly versions: FileVersions;
  readonly index: number;
}

/** A stat cache for such files. */
export interface StatRows {
  /** Numbers of the paths that it knows; whoever remembers something of a path may number it here, too. */
  readonly paths: PathIndex;
  /** As `StatCache.get`. */
  get(row: StatRow): DigestBytes | undefined;
  /** As `StatCache.set`. */
  set(row: StatRow, read: { readonly digest: DigestBytes; readonly readAt: bigint }): void;
}

/**
 * Remembers digests of nodes by (path, size, mtime, ctime, inode), so that an unchanged file is not read again. A change
 * of mode, owner or xattrs moves ctime, so the digests may cover those too.
 */
export interface StatCache {
  /** The same for files whose paths have numbers. */
  readonly rows: StatRows;
  /** To be looked at before anything is set. */
  get(key: StatKey): DigestBytes | undefined;
  /** Keeps a copy. Ignored for a node that changed so shortly before `readAt` that a later change could look the same (racy). */
  set(entry: {
    readonly key: StatKey;
    readonly digest: DigestBytes;
    /** When reading began: nanoseconds since the epoch. */
    readonly readAt: bigint;
  }): void;
  /** Writes what is new, by rename; does nothing when nothing is. */
  save(): Promise<void>;
}
