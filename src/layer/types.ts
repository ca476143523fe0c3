import type { Readable } from "node:stream";
import type { FileVersion, Names, PlainFiles } from "../core/index.ts";

/**
 * A path inside a root filesystem as raw bytes: relative, `/`-separated, without leading or trailing slash, without
 * `.` or `..` or empty components; empty for the root itself. Bytes, because Linux names need not be UTF-8.
 */
export type RootPath = Buffer;

export type NodeType =
  "file" | "directory" | "symlink" | "hardlink" | "char-device" | "block-device" | "fifo";

/**
 * One entry of a layer's changeset, as it stands in the tar (whiteouts still by their `.wh.` names).
 * @see OCI image spec, layer.md
 */
export interface LayerEntry {
  readonly path: RootPath;
  readonly type: NodeType;
  /** Permission bits including setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch; may be negative. */
  readonly mtime: bigint;
  /** Bytes of content; 0 for everything but files. */
  readonly size: number;
  /** Target of a symlink (verbatim) or of a hard link (a RootPath). */
  readonly linkTarget?: Buffer | undefined;
  readonly devMajor?: number | undefined;
  readonly devMinor?: number | undefined;
  /** Extended attributes by full name, for example `security.capability`, as `losslessText` tells it. Values are raw bytes. */
  readonly xattrs?: ReadonlyMap<string, Buffer> | undefined;
}

/**
 * An entry with a way to read its content: exactly `size` bytes, for files only. Either `open` or `read` is called, at
 * most once and before the next entry is asked for; content that nobody asks for is skipped.
 */
export interface LayerEntryWithContent extends LayerEntry {
  readonly open?: (() => Readable) | undefined;
  /**
   * The whole content at once, offered for small files, where a stream costs more than the bytes. `target`, of exactly
   * `size` bytes, is a place that may be used for it; the result tells whether it was.
   */
  readonly read?: ((target?: Buffer) => Buffer) | undefined;
  /**
   * Absolute path of a file that has the content and keeps it: `read` may be called at any time, or the file be read by
   * anybody, also in parts.
   */
  readonly place?: Buffer | undefined;
}

/** What `lstat` knows about a node of a merged tree. */
export interface NodeStat {
  readonly type: Exclude<NodeType, "hardlink"> | "socket";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Number of hard links, in the layer where the node lies. */
  readonly nlink: number;
  /** Identifies the node: equal for hard links of one file. Of no meaning across processes. */
  readonly inode: string;
  /** Tells this version of the node from others; where it lies on this machine, and looks as it does there. */
  readonly statKey?: StatKey;
}

export interface StatKey extends FileVersion {
  /** Absolute path on the host, one character a byte. */
  readonly path: string;
}

/**
 * A root filesystem seen through its stack of layers, without a mount: upper entries hide lower ones, whiteouts and
 * opaque directories are honoured. Paths are taken literally, component by component: a symlink on the way makes the
 * lookup answer "not there" (use `resolvePath` first). Nothing outside the tree can be reached.
 */
export interface MergedTree {
  /** undefined when nothing is there. */
  lstat(path: RootPath): Promise<NodeStat | undefined>;
  /** Names in byte order. @throws ENOTDIR, ENOENT as SNAPSHOT_* errors */
  readdir(path: RootPath): Promise<readonly Buffer[]>;
  readlink(path: RootPath): Promise<Buffer>;
  /** Content of a regular file. `start`/`end` as in fs.createReadStream (end inclusive). */
  openFile(path: RootPath): Promise<OpenedFile>;
  xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>>;
  /** The same without promises, of a tree whose nodes lie on this machine: thousands of them are read so. */
  readonly local?: LocalTree;
}

/** What a MergedTree says, at once: each answer takes microseconds, and a promise for it would take as long again. */
export interface LocalTree {
  /** To be awaited once before `open` and `xattrs` are called; those that look, list and read links need nothing. */
  prepare(): Promise<void>;
  lstat(path: RootPath): NodeStat | undefined;
  /** The same of a name that `readdir` or `listed` told: that it is to be seen was found out there. */
  lstatListed(path: RootPath): NodeStat | undefined;
  readdir(path: RootPath): Names;
  /** What `readdir` said last, where somebody asked it: what came since was not counted, and is not copied. */
  listed(path: RootPath): Names;
  readlink(path: RootPath): Buffer;
  /** Of anything but a file; a file's are asked of the open file. */
  xattrs(path: RootPath): ReadonlyMap<string, Buffer>;
  /** Opens the regular file that `lstat` told of as `stat`. */
  open(path: RootPath, stat: NodeStat): LocalFile;
  /**
   * The absolute path of that file, one character a byte, for another thread that opens it without following any symlink;
   * undefined where only `open` knows the file.
   */
  placeOf(path: RootPath, stat: NodeStat): string | undefined;
  /** Where many files lie on this machine as the tree shows them, but for their owners. */
  readonly plain?: PlainTree;
}

/** Many files of a LocalTree at a time. */
export interface PlainTree {
  /**
   * Of the nodes of `directory` that `listed` told, from `start` on: the regular files with one name and no attributes that come
   * first and have one owner, as many as are worth one call. Another version than that of which a digest was taken ends them.
   * None where each node has to be looked at for itself.
   */
  next(directory: RootPath, names: Names, start: number): PlainFiles;
  /** Opens one of them, which lie in `directory`. @throws what is wrong when it is of another version */
  open(files: PlainFiles, index: number, directory: RootPath): LocalFile;
  /** Says that the digest of one of them was taken: from now on other versions of it fail when they are opened. */
  counted(files: PlainFiles, index: number): void;
}

/** An open file of a LocalTree; the caller closes it. */
export interface LocalFile {
  readonly fd: number;
  readonly size: number;
  xattrs(): ReadonlyMap<string, Buffer>;
  /**
   * To be called after the reading: throws unless everything that was read is of the version that `stat` told of.
   */
  verify(): void;
  close(): void;
}

export interface OpenedFile {
  /** A file descriptor opened for reading; the caller closes it with `close`. */
  readonly fd: number;
  readonly size: number;
  /**
   * To be called after the reading: throws unless what was read is of the version that was opened. Absent where nobody
   * can change the file.
   */
  verify?(): void;
  close(): Promise<void>;
}
