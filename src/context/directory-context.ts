import { type BigIntStats, closeSync, openSync, realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { errnoOf, loadSyscalls } from "../core/index.ts";
import type { OpenedFile, RootPath } from "../layer/index.ts";
import { type ByteString, byteString, bytesOf, textOf } from "./byte-strings.ts";
import { contextError } from "./errors.ts";
import {
  hostPath,
  listNames,
  lstatNode,
  nodeType,
  openRealFile,
  readLinkTarget,
  splitDevice,
} from "./host-files.ts";
import { IgnoreRules } from "./ignore/ignore-rules.ts";
import { parseIgnoreFile } from "./ignore/parse-ignore-file.ts";
import { statKeyOf } from "./stat-key.ts";
import type { BuildContext, HostNodeStat, IgnoreRule, StatCache, StatKey } from "./types.ts";

export interface DirectoryContextOptions {
  /** Root of the context; may itself be a symlink. */
  readonly directory: string;
  /** Path of the Dockerfile; `<dockerfile>.dockerignore` beside it replaces the context's own .dockerignore. */
  readonly dockerfile?: string | undefined;
  /** How messages name the context; `directory` unless given. */
  readonly label?: string | undefined;
  /** What `checksumSelection` uses for this context when it is given none. */
  readonly statCache?: StatCache | undefined;
}

/**
 * A directory of this host as a build context. Files are looked at when asked for, nothing is copied. Symlinks inside
 * are nodes like others and never followed, so nothing outside of the directory can be reached.
 * @throws CONTEXT_UNREADABLE, CONTEXT_IGNORE_INVALID
 */
export async function openDirectoryContext(
  options: DirectoryContextOptions,
): Promise<BuildContext> {
  const label = options.label ?? options.directory;
  const root = realDirectory(options.directory, label);
  const rules = await readIgnoreRules(options);
  return new DirectoryContext({ root, label, rules, statCache: options.statCache });
}

function realDirectory(directory: string, label: string): ByteString {
  try {
    const root = byteString(realpathSync(directory, "buffer"));
    const stats = lstatNode(root);
    if (stats?.isDirectory() === true) return root === "/" ? "" : root;
  } catch (error) {
    throw unreadable(label, error);
  }
  throw unreadable(label, undefined);
}

/**
 * The Dockerfile's own ignore file first, else the context's; never both.
 * @throws CONTEXT_IGNORE_INVALID, CONTEXT_UNREADABLE
 */
export async function readIgnoreRules(
  options: Pick<DirectoryContextOptions, "directory" | "dockerfile">,
): Promise<IgnoreRules> {
  const { directory, dockerfile } = options;
  const candidates = [join(directory, ".dockerignore")];
  if (dockerfile !== undefined) candidates.unshift(`${dockerfile}.dockerignore`);
  for (const path of candidates) {
    const content = await readIfThere(path);
    if (content === undefined) continue;
    const shown = relative(directory, path);
    return parseIgnoreFile(content, shown.startsWith("..") ? path : shown);
  }
  return new IgnoreRules([]);
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw unreadable(path, error);
  }
}

class DirectoryContext implements BuildContext {
  readonly label: string;
  readonly statCache: StatCache | undefined;
  readonly #root: ByteString;
  readonly #rules: IgnoreRules;
  /** Directories that were seen to be no symlinks, all the way from the root. */
  readonly #realDirectories = new Set<ByteString>([""]);
  /** Whether an excluded directory holds something that is not excluded. */
  readonly #holdsIncluded = new Map<ByteString, boolean>();
  /** ctime (to 256 ns, what a number holds) of the files whose digest was taken. */
  readonly #pinned = new Map<ByteString, number>();

  constructor(parts: {
    readonly root: ByteString;
    readonly label: string;
    readonly rules: IgnoreRules;
    readonly statCache: StatCache | undefined;
  }) {
    this.#root = parts.root;
    this.label = parts.label;
    this.#rules = parts.rules;
    this.statCache = parts.statCache;
  }

  // The methods do their work at once and only answer by promise; see host-files.ts for what was measured.
  async lstat(path: RootPath): Promise<HostNodeStat | undefined> {
    const name = byteString(path);
    const stats = this.#stat(name);
    if (stats === undefined || !this.#isVisible(name, stats.isDirectory())) return undefined;
    return this.#nodeStat(name, stats);
  }

  async readdir(path: RootPath): Promise<readonly Buffer[]> {
    const directory = byteString(path);
    const names = this.#list(directory);
    if (this.#rules.isEmpty) return names.map(bytesOf);
    const below = directory === "" ? "" : `${directory}/`;
    return names.filter((name) => this.#isVisible(below + name)).map(bytesOf);
  }

  async readlink(path: RootPath): Promise<Buffer> {
    const name = byteString(path);
    this.#expectVisible(name);
    return attempt(name, () => readLinkTarget(this.#host(name)));
  }

  async openFile(path: RootPath): Promise<OpenedFile> {
    const name = byteString(path);
    this.#expectVisible(name);
    const opened = attempt(name, () => openRealFile(this.#host(name)));
    if (opened === "socket") return emptyFile();
    if (opened === undefined) throw changed(name);
    const { fd, stats } = opened;
    const pinned = this.#pinned.get(name);
    if (pinned !== undefined && pinned !== Number(stats.ctimeNs)) {
      closeSync(fd);
      throw changed(name);
    }
    return openedFile(fd, Number(stats.size));
  }

  async xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>> {
    const name = byteString(path);
    this.#expectVisible(name);
    const host = hostPath(this.#host(name));
    const syscalls = await loadSyscalls();
    const found = new Map<string, Buffer>();
    for (const attribute of syscalls.llistxattr(host)) {
      const value = syscalls.lgetxattr(host, attribute);
      if (value !== undefined) found.set(attribute, value);
    }
    return found;
  }

  ignoredBy(path: RootPath): IgnoreRule | undefined {
    return this.#rules.match(textOf(byteString(path)));
  }

  pin(path: RootPath, version: StatKey): void {
    this.#pinned.set(byteString(path), Number(version.ctimeNs));
  }

  #host(path: ByteString): ByteString {
    return path === "" ? this.#root || "/" : `${this.#root}/${path}`;
  }

  /** undefined also when a symlink or a file stands on the way. */
  #stat(path: ByteString): BigIntStats | undefined {
    if (path !== "" && !this.#isRealDirectory(parentOf(path))) return undefined;
    return attempt(path, () => lstatNode(this.#host(path)));
  }

  #isRealDirectory(path: ByteString): boolean {
    if (this.#realDirectories.has(path)) return true;
    if (this.#stat(path)?.isDirectory() !== true) return false;
    this.#realDirectories.add(path);
    return true;
  }

  #list(path: ByteString): ByteString[] {
    if (!this.#isRealDirectory(path)) throw unreadable(shown(path), undefined, "ENOTDIR");
    return attempt(path, () => listNames(this.#host(path)));
  }

  /** An excluded directory is there when something below it is not excluded. */
  #isVisible(path: ByteString, isDirectory?: boolean): boolean {
    if (this.#rules.isEmpty) return true;
    const text = textOf(path);
    if (this.#rules.match(text) === undefined) return true;
    if (isDirectory === false || this.#rules.canSkipDirectory(text)) return false;
    return this.#isRealDirectory(path) && this.#hasIncluded(path);
  }

  #hasIncluded(directory: ByteString): boolean {
    const known = this.#holdsIncluded.get(directory);
    if (known !== undefined) return known;
    const found = this.#listOrNothing(directory).some((name) =>
      this.#isVisible(`${directory}/${name}`),
    );
    this.#holdsIncluded.set(directory, found);
    return found;
  }

  /** An excluded directory that may not be read is as good as an empty one. */
  #listOrNothing(directory: ByteString): ByteString[] {
    try {
      return listNames(this.#host(directory));
    } catch (error) {
      if (errnoOf(error) === "EACCES") return [];
      throw unreadable(shown(directory), error);
    }
  }

  #expectVisible(path: ByteString): void {
    if (this.#isVisible(path) && this.#isRealDirectory(parentOf(path))) return;
    throw unreadable(shown(path), undefined, "ENOENT");
  }

  #nodeStat(path: ByteString, stats: BigIntStats): HostNodeStat {
    const mode = Number(stats.mode);
    const type = nodeType(mode);
    const device = type.endsWith("device") ? splitDevice(stats.rdev) : { major: 0, minor: 0 };
    return {
      type: type === "socket" ? "file" : type,
      mode: mode & 0o7777,
      uid: 0,
      gid: 0,
      size: type === "file" ? Number(stats.size) : 0,
      mtime: stats.mtimeNs,
      devMajor: device.major,
      devMinor: device.minor,
      nlink: Number(stats.nlink),
      inode: `${String(stats.dev)}:${String(stats.ino)}`,
      statKey: statKeyOf(this.#host(path), stats),
    };
  }
}

function openedFile(fd: number, size: number): OpenedFile {
  return {
    fd,
    size,
    close: async () => {
      closeSync(fd);
    },
  };
}

/** What a socket looks like in an image. */
function emptyFile(): OpenedFile {
  return openedFile(openSync("/dev/null", "r"), 0);
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

function shown(path: ByteString): string {
  return path === "" ? "." : bytesOf(path).toString();
}

function attempt<Result>(path: ByteString, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw unreadable(shown(path), error);
  }
}

function unreadable(path: string, cause: unknown, errno = errnoOf(cause)): Error {
  const why = errno === undefined ? "not a directory" : errno;
  return contextError("CONTEXT_UNREADABLE", `read ${path} in the build context: ${why}`, {
    hint:
      errno === "EACCES"
        ? "make it readable, or exclude it in .dockerignore"
        : "the build context is the directory that COPY reads from",
    details: { path, errno },
    cause,
  });
}

function changed(path: ByteString): Error {
  return fileChanged(shown(path));
}

/** CONTEXT_FILE_CHANGED about `path`. */
export function fileChanged(path: string): Error {
  return contextError("CONTEXT_FILE_CHANGED", `read ${path}: it changed during the build`, {
    hint: "build again when nothing writes to it, or exclude it in .dockerignore",
    details: { path },
  });
}
