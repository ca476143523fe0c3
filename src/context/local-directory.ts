import { closeSync, constants, openSync } from "node:fs";
import {
  errnoOf,
  type FileStat,
  loadSyscalls,
  type Names,
  type PlainFiles,
  type Syscalls,
  syscallsNow,
  versionLength,
} from "../core/index.ts";
import {
  type LocalFile,
  type LocalTree,
  type NodeStat,
  plainFilesAtOnce,
  type PlainTree,
  type RootPath,
} from "../layer/index.ts";
import { type ByteString, byteString, bytesOf, isAscii, textOf } from "./byte-strings.ts";
import { attempt, changed, shown, unreadable } from "./context-problems.ts";
import { ContextNode } from "./context-node.ts";
import { isDirectory, listNames, lstatNode, openRealFile, readLinkTarget } from "./host-files.ts";
import type { IgnoreRules } from "./ignore/ignore-rules.ts";
import type { PathIndex } from "./path-index.ts";
import { isSameVersion, statKeyOf } from "./stat-key.ts";
import type { HostNodeStat, StatKey } from "./types.ts";

const timesInPage = 1024;
/** Questions that Node answers, before its answers cost more than it takes to load the library that asks the kernel. */
const questionsWithoutKernel = 500;
/** PATH_MAX: the kernel takes shorter ones. */
const pathMax = 4096;
/** No file has this time. */
const notPinned = -(2n ** 63n);

/** A directory of this host seen through ignore rules, without promises. `root` is a real path; "" is `/`. */
export class LocalDirectory implements LocalTree {
  readonly #root: ByteString;
  readonly #rules: IgnoreRules;
  #kernel: Syscalls | undefined;
  #questions = 0;
  /** Directories that were seen to be no symlinks, all the way from the root. */
  readonly #realDirectories = new Set<ByteString>([""]);
  /** One of them, of which something was looked at: what is looked at next mostly lies beside it. */
  #lastParent: ByteString = "";
  /** Whether an excluded directory holds something that is not excluded. */
  readonly #holdsIncluded = new Map<ByteString, boolean>();
  /** The names that were listed, with a slash behind each: one Buffer takes a tenth of the memory of many. */
  readonly #listings = new Map<ByteString, Buffer>();
  /** Several things are asked about one path in a row. */
  #lastPath: RootPath | undefined;
  #lastName = "";
  /** The node that was looked at last, and is there: what it is looked at for mostly comes next. */
  #lastSeen: ByteString | undefined;
  /** Numbers of paths on the host. */
  readonly #paths: PathIndex;
  /** By the numbers of files and symlinks whose digest was taken, their ctime in nanoseconds; in pages. */
  readonly #pinnedTimes: BigInt64Array[] = [];

  constructor(parts: {
    readonly root: ByteString;
    readonly rules: IgnoreRules;
    readonly paths: PathIndex;
  }) {
    this.#root = parts.root;
    this.#rules = parts.rules;
    this.#paths = parts.paths;
  }

  async prepare(): Promise<void> {
    this.#kernel ??= await loadSyscalls();
  }

  lstat(path: RootPath): HostNodeStat | undefined {
    const name = this.#nameOf(path);
    const stats = this.#stat(name);
    if (stats === undefined || !this.#isVisible(name, isDirectory(stats))) return undefined;
    this.#lastSeen = name;
    return new ContextNode(this.#host(name), stats);
  }

  lstatListed(path: RootPath): HostNodeStat | undefined {
    // Whether an exception shows it may hang on what it is by now.
    if (this.#rules.hasExceptions) return this.lstat(path) ?? this.#gone(this.#nameOf(path));
    const name = this.#nameOf(path);
    const stats = this.#stat(name);
    if (stats === undefined) return this.#gone(name);
    this.#lastSeen = name;
    return new ContextNode(this.#host(name), stats);
  }

  /** What was listed a moment ago, and cannot be looked at: no path that is too long leads to what is there. */
  #gone(name: ByteString): undefined {
    if (this.#host(name).length < pathMax) return undefined;
    throw unreadable(shown(name), undefined, "ENAMETOOLONG");
  }

  readdir(path: RootPath): Names {
    const directory = byteString(path);
    const names = this.#list(directory, this.#rules.excludedEnds);
    const visible = this.#rules.isEmpty ? names : names.filter(this.#visibleIn(directory, names));
    // One character a byte, so the default order is that of the bytes.
    visible.sort();
    const listing = visible.length === 0 ? none : bytesOf(`${visible.join("/")}/`);
    this.#listings.set(directory, listing);
    return new ListedNames(listing);
  }

  listed(path: RootPath): Names {
    const listing = this.#listings.get(byteString(path));
    return listing === undefined ? this.readdir(path) : new ListedNames(listing);
  }

  hidden(path: RootPath): readonly Buffer[] {
    if (this.#rules.isEmpty) return [];
    const directory = byteString(path);
    const names = this.#list(directory);
    const isVisible = this.#visibleIn(directory, names);
    const hidden = names.filter((name) => !isVisible(name));
    return hidden.sort().map(bytesOf);
  }

  readlink(path: RootPath): Buffer {
    const name = this.#nameOf(path);
    this.#expectVisible(name);
    const target = attempt(name, () => readLinkTarget(this.#host(name)));
    if (target === undefined || !this.#isLinkAsPinned(name)) throw changed(name);
    return target;
  }

  xattrs(path: RootPath): ReadonlyMap<string, Buffer> {
    const name = this.#nameOf(path);
    this.#expectVisible(name);
    const kernel = this.#calls();
    const host = this.#host(name);
    return attempt(name, () => {
      const names = kernel.llistxattrBytes(host);
      if (names.length === 0) return nothing;
      const bytes = bytesOf(host);
      return attributesOf(names, (attribute) => kernel.lgetxattr(bytes, attribute));
    });
  }

  open(path: RootPath, stat: NodeStat): LocalFile {
    const name = this.#nameOf(path);
    this.#expectVisible(name);
    if (!("statKey" in stat)) throw new Error("the stat is another tree's");
    return this.#openVersion(name, (stat as HostNodeStat).statKey, stat.size);
  }

  readonly plain: PlainTree = {
    next: (directory, names, start) => this.#plainFiles(directory, names, start),
    open: (files, index) => this.#openPlain(files, index),
    counted: (files, index) => {
      const time = files.versions.numbers[versionLength * index + ctimeIn] ?? notPinned;
      this.#pinAt(this.#paths.addAll(files)[index] ?? 0, time);
    },
  };

  #plainFiles(directory: RootPath, names: Names, start: number): PlainFiles {
    const name = this.#nameOf(directory);
    const prefix = bytesOf(name === "" ? `${this.#root}/` : `${this.#root}/${name}/`);
    // Whether an exception shows a node may hang on what it is by now.
    const isKnown = !this.#rules.hasExceptions && this.#isRealDirectory(name);
    const { most, bytes } = plainFilesAtOnce;
    const limits = { start, most: isKnown ? most : 0, bytes, isOneOwner: false };
    const files = this.#calls().plainFiles(prefix, names, limits);
    if (this.#pinnedTimes.length > 0) this.#leaveCounted(files);
    return files;
  }

  /** Ends the files before the first one that is not of the version that was counted. */
  #leaveCounted(files: PlainFiles): void {
    const numbers = this.#paths.addAll(files);
    const { names, versions } = files;
    for (let index = 0; index < names.length; index++) {
      const pinned = this.#pinnedAt(numbers[index] ?? 0);
      if (pinned === undefined) continue;
      if (pinned !== versions.numbers[versionLength * index + ctimeIn]) names.length = index;
    }
  }

  #openPlain(files: PlainFiles, index: number): LocalFile {
    const version = { path: files.pathOf(index), ...files.versions.get(index) };
    const name = version.path.slice(this.#root.length + 1);
    return this.#openVersion(name, version, files.sizes[index] ?? 0);
  }

  #openVersion(name: ByteString, statKey: StatKey, size: number): LocalFile {
    if (!this.#isAsPinned(statKey)) throw changed(name);
    const fd = this.#openFile(name);
    if (fd === undefined) return emptyFile();
    const kernel = this.#calls();
    return {
      fd,
      size,
      xattrs: () =>
        attributesOf(kernel.flistxattr(fd), (attribute) => kernel.fgetxattr(fd, attribute)),
      verify: () => {
        const now = statKeyOf(statKey.path, kernel.fstat(fd));
        if (!isSameVersion(now, statKey)) throw changed(name);
      },
      close: () => {
        closeSync(fd);
      },
    };
  }

  placeOf(_path: RootPath, stat: NodeStat): ByteString | undefined {
    const { statKey } = stat as HostNodeStat;
    return this.#isAsPinned(statKey) ? statKey.path : undefined;
  }

  pin({ path, ctimeNs }: StatKey): void {
    this.#pinAt(this.#paths.add(path), ctimeNs);
  }

  #pinAt(number: number, ctimeNs: bigint): void {
    const page = Math.floor(number / timesInPage);
    const times = (this.#pinnedTimes[page] ??= new BigInt64Array(timesInPage).fill(notPinned));
    times[number % timesInPage] = ctimeNs;
  }

  /** The ctime of the version that was counted; undefined when none was. */
  #pinnedTime(path: ByteString): bigint | undefined {
    const number = this.#paths.find(path);
    return number === undefined ? undefined : this.#pinnedAt(number);
  }

  #pinnedAt(number: number): bigint | undefined {
    const time = this.#pinnedTimes[Math.floor(number / timesInPage)]?.[number % timesInPage];
    return time === notPinned ? undefined : time;
  }

  #isAsPinned({ path, ctimeNs }: StatKey): boolean {
    const pinned = this.#pinnedTime(path);
    return pinned === undefined || pinned === ctimeNs;
  }

  #isLinkAsPinned(name: ByteString): boolean {
    const path = this.#host(name);
    if (this.#pinnedTime(path) === undefined) return true;
    const stats = lstatNode(path, this.#kernel);
    return stats !== undefined && this.#isAsPinned(statKeyOf(path, stats));
  }

  /** Of many, the kernel's own calls take a third of the time that Node's take, and are worth loading. */
  #countQuestion(): void {
    if (++this.#questions !== questionsWithoutKernel || this.#kernel !== undefined) return;
    try {
      this.#kernel = syscallsNow();
    } catch {
      // Whoever cannot do without them hears why from `prepare`.
    }
  }

  #calls(): Syscalls {
    if (this.#kernel === undefined) throw new Error("prepare was not awaited");
    return this.#kernel;
  }

  /** The open file behind `name`; undefined for a socket, which cannot be opened. */
  #openFile(name: ByteString): number | undefined {
    const opened = attempt(name, () => openRealFile(this.#calls(), this.#host(name)));
    if (opened === "elsewhere") throw changed(name);
    return opened === "socket" ? undefined : opened;
  }

  #nameOf(path: RootPath): ByteString {
    if (path !== this.#lastPath) {
      this.#lastName = byteString(path);
      this.#lastPath = path;
    }
    return this.#lastName;
  }

  #host(path: ByteString): ByteString {
    return path === "" ? this.#root || "/" : `${this.#root}/${path}`;
  }

  /** undefined also when a symlink or a file stands on the way. */
  #stat(path: ByteString): FileStat | undefined {
    if (path !== "" && !this.#isInRealDirectory(path)) return undefined;
    this.#countQuestion();
    let stats: FileStat | undefined;
    try {
      stats = lstatNode(this.#host(path), this.#kernel);
    } catch (error) {
      throw unreadable(shown(path), error);
    }
    if (isDirectory(stats)) this.#realDirectories.add(path);
    return stats;
  }

  #isInRealDirectory(path: ByteString): boolean {
    const last = this.#lastParent;
    if (path.lastIndexOf("/") === last.length && path.startsWith(last)) return true;
    const parent = parentOf(path);
    if (!this.#isRealDirectory(parent)) return false;
    this.#lastParent = parent;
    return true;
  }

  #isRealDirectory(path: ByteString): boolean {
    return this.#realDirectories.has(path) || isDirectory(this.#stat(path));
  }

  #list(path: ByteString, without?: readonly Uint8Array[]): ByteString[] {
    if (!this.#isRealDirectory(path)) throw unreadable(shown(path), undefined, "ENOTDIR");
    this.#countQuestion();
    let names: ByteString[] | undefined;
    try {
      names = listNames(this.#host(path), { kernel: this.#kernel, without });
    } catch (error) {
      throw unreadable(shown(path), error);
    }
    if (names === undefined) throw changed(path);
    return names;
  }

  /** An excluded directory is there when something below it is not excluded. */
  #isVisible(path: ByteString, isDirectory?: boolean): boolean {
    if (this.#rules.isEmpty) return true;
    const text = textOf(path);
    if (this.#rules.match(text) === undefined) return true;
    if (isDirectory === false || this.#rules.canSkipDirectory(text)) return false;
    return this.#isRealDirectory(path) && this.#hasIncluded(path);
  }

  /** `#isVisible` for the names in one directory: all of them are known, and each is asked about. */
  #visibleIn(directory: ByteString, names: readonly ByteString[]): (name: ByteString) => boolean {
    const judge = this.#rules.inside(textOf(directory));
    const below = directory === "" ? "" : `${directory}/`;
    const areText = isAscii(names.join(""));
    return (name) => {
      const verdict = judge(areText ? name : textOf(name));
      if (verdict !== "perhaps") return verdict === "included";
      return this.#isRealDirectory(below + name) && this.#hasIncluded(below + name);
    };
  }

  #hasIncluded(directory: ByteString): boolean {
    const known = this.#holdsIncluded.get(directory);
    if (known !== undefined) return known;
    const names = this.#listOrNothing(directory);
    const found = names.some(this.#visibleIn(directory, names));
    this.#holdsIncluded.set(directory, found);
    return found;
  }

  /** An excluded directory that may not be read is as good as an empty one. */
  #listOrNothing(directory: ByteString): ByteString[] {
    try {
      return listNames(this.#host(directory), { kernel: this.#kernel }) ?? [];
    } catch (error) {
      if (errnoOf(error) === "EACCES") return [];
      throw unreadable(shown(directory), error);
    }
  }

  #expectVisible(path: ByteString): void {
    if (path === this.#lastSeen) return;
    if (this.#isVisible(path) && this.#isRealDirectory(parentOf(path))) return;
    throw unreadable(shown(path), undefined, "ENOENT");
  }
}

function attributesOf(
  names: readonly string[],
  read: (name: string) => Buffer | undefined,
): ReadonlyMap<string, Buffer> {
  if (names.length === 0) return nothing;
  const found = new Map<string, Buffer>();
  for (const name of names) {
    const value = read(name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/** Names in one piece of memory, with a slash behind each. Only who asks for one gets a Buffer. */
class ListedNames implements Names {
  readonly length: number;
  readonly #bytes: Buffer;
  readonly #ends: Uint32Array;

  constructor(bytes: Buffer) {
    const ends: number[] = [];
    for (let at = bytes.indexOf(slash); at !== -1; at = bytes.indexOf(slash, at + 1)) ends.push(at);
    this.length = ends.length;
    this.#bytes = bytes;
    this.#ends = Uint32Array.from(ends);
  }

  at(index: number): Buffer | undefined {
    const end = this.#ends[index];
    if (end === undefined) return undefined;
    return this.#bytes.subarray(index === 0 ? 0 : (this.#ends[index - 1] ?? 0) + 1, end);
  }
}

const slash = 0x2f;
const none = Buffer.alloc(0);
const nothing: ReadonlyMap<string, Buffer> = new Map();
/** Of the numbers of a version, which one is ctime. */
const ctimeIn = 2;

/** What a socket looks like in an image. */
function emptyFile(): LocalFile {
  const fd = openSync("/dev/null", constants.O_RDONLY);
  return {
    fd,
    size: 0,
    xattrs: () => nothing,
    verify: () => undefined,
    close: () => {
      closeSync(fd);
    },
  };
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}
