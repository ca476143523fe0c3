import type { Digest } from "../core/index.ts";
import type { MergedTree, RootPath } from "../layer/index.ts";

/**
 * A build context: a tree of files from a directory, seen through its ignore rules. Excluded paths are simply not
 * there. It is a MergedTree, so COPY reads a context and a stage in the same way; owners are 0:0 as the reference
 * builder presents them.
 */
export interface BuildContext extends MergedTree {
  /** How messages name it: the path or URL as the user gave it. */
  readonly label: string;
  /** Whether the ignore rules hide `path`, and by which rule, for error messages. */
  ignoredBy(path: RootPath): IgnoreRule | undefined;
}

export interface IgnoreRule {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly pattern: string;
}

/** One file that an op reads, with everything that enters its checksum. Sorted by path where listed. */
export interface FileDigest {
  /** Path relative to the selection, as text (invalid UTF-8 is escaped as \xNN). */
  readonly path: string;
  /** Digest over header (type, mode, uid, gid, size, link target, device, xattrs) and content. Not mtime. */
  readonly digest: Digest;
  readonly mode: number;
}

/** Remembers content digests by (path, size, mtime, ctime, inode), so that an unchanged file is not read again. */
export interface StatCache {
  get(key: StatKey): Digest | undefined;
  set(key: StatKey, digest: Digest): void;
  /** Writes what is new. Entries as young as their own reading are left out (racy). */
  save(): Promise<void>;
}

export interface StatKey {
  /** Absolute path on the host. */
  readonly path: string;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
}
