import { closeSync, fstatSync, readlinkSync } from "node:fs";
import { type FileStat, type Names, PlainFiles } from "../core/index.ts";
import {
  baseName,
  joinRootPath,
  type LocalFile,
  type LocalTree,
  type MergedTree,
  type NodeStat,
  type OpenedFile,
  parentRootPath,
  plainFilesAtOnce,
  type RootPath,
  rootPathToString,
  type StatKey,
} from "../layer/index.ts";
import { isDirectory, isWhiteout, locate, nodeStat, openInLayer } from "./disk.ts";
import { snapshotError } from "./errors.ts";
import type { LayerDisk } from "./layer-disk.ts";

const noAttributes: ReadonlyMap<string, Buffer> = new Map();
const noPath = Buffer.alloc(0);
const slash = Buffer.from("/");

/** Where a node was found. */
interface Found {
  readonly layer: number;
  readonly stat: NodeStat;
}

/** A directory of the merged view: the layers that have a part in it, topmost first. */
type Directory = readonly number[];

/**
 * The merged view of committed layers, topmost first. They never change, so which layers make up a directory, and which
 * names it has, is looked up once.
 */
export class StackTree implements MergedTree {
  readonly #layers: readonly LayerDisk[];
  readonly #directories = new Map<string, Directory | undefined>();
  readonly #names = new Map<string, ReadonlyMap<string, number>>();
  #last: { readonly path: RootPath; readonly found: Found | undefined } | undefined;

  constructor(layers: readonly LayerDisk[]) {
    this.#layers = layers;
    // Overlayfs, too, merges the roots of all layers whatever their marks say.
    this.#directories.set("", [...layers.keys()]);
  }

  readonly local: LocalTree = {
    prepare: async () => undefined,
    lstat: (path) => this.#find(path)?.stat,
    lstatListed: (path) => this.#find(path)?.stat,
    readdir: (path) => this.#readdir(path),
    // Layers do not change.
    listed: (path) => this.#readdir(path),
    readlink: (path) => readlinkSync(this.#locate(path), { encoding: "buffer" }),
    xattrs: (path) => {
      if (path.length === 0 && this.#layers.length === 0) return noAttributes;
      const disk = this.#diskOf(this.#found(path));
      return disk.xattrs(locate(disk.directory, path)) ?? noAttributes;
    },
    placeOf: (path) => {
      const { isDirect, directory } = this.#diskOf(this.#found(path));
      return isDirect ? locate(directory, path).toString("latin1") : undefined;
    },
    open: (path, { size }) => this.#openFile(path, size),
    plain: {
      next: (directory, names, start) => this.#plainFiles(directory, names, start),
      open: (files, index, directory) =>
        this.#openFile(
          joinRootPath(directory, files.names[index] ?? noPath),
          files.sizes[index] ?? 0,
        ),
      // Committed files never change.
      counted: () => undefined,
    },
  };

  #openFile(path: RootPath, size: number): LocalFile {
    const fd = this.#open(path);
    return {
      fd,
      size,
      xattrs: () => this.local.xattrs(path),
      verify: () => undefined,
      close: () => {
        closeSync(fd);
      },
    };
  }

  #plainFiles(directory: RootPath, names: Names, start: number): PlainFiles {
    const [layer, ...others] = this.#directory(directory) ?? [];
    const disk = layer === undefined ? undefined : this.#layer(layer);
    // Which layer has a name is asked for each where there are several.
    const isOne = others.length === 0 && disk?.isDirect === true;
    if (!isOne) return new PlainFiles(noPath, 0);
    const place = Buffer.concat([locate(disk.directory, directory), slash]);
    const limits = { start, ...plainFilesAtOnce, isOneOwner: true };
    return disk.kernel.plainFiles(place, names, limits);
  }

  async lstat(path: RootPath): Promise<NodeStat | undefined> {
    return this.local.lstat(path);
  }

  async readdir(path: RootPath): Promise<readonly Buffer[]> {
    return this.#readdir(path);
  }

  #readdir(path: RootPath): readonly Buffer[] {
    const directory = this.#directory(path);
    if (directory === undefined) throw this.#find(path) ? notDirectory(path) : notFound(path);
    // Latin-1 strings sort as their bytes do.
    const names = [...this.#namesOf(path, directory).keys()].sort();
    return names.map((name) => Buffer.from(name, "latin1"));
  }

  async readlink(path: RootPath): Promise<Buffer> {
    return this.local.readlink(path);
  }

  async openFile(path: RootPath): Promise<OpenedFile> {
    return openedFile(this.#open(path));
  }

  async xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>> {
    return this.local.xattrs(path);
  }

  #open(path: RootPath): number {
    const found = this.#found(path);
    if (found.stat.type !== "file") throw notFile(path);
    const { kernel, directory } = this.#diskOf(found);
    return openInLayer(kernel, directory, path);
  }

  /** Whether a layer put below all these would show at `path`, where this tree has nothing. */
  showsBelow(path: RootPath): boolean {
    let parts: readonly number[] = [...this.#layers.keys()];
    for (const prefix of prefixes(path)) {
      const next: number[] = [];
      for (const layer of parts) {
        const disk = this.#layer(layer);
        const absolute = locate(disk.directory, prefix);
        const stat = disk.stat(absolute);
        if (stat === undefined) continue;
        if (!isDirectory(stat) || disk.isOpaque(absolute)) return false;
        next.push(layer);
      }
      parts = next;
    }
    return true;
  }

  #locate(path: RootPath): Buffer {
    return locate(this.#diskOf(this.#found(path)).directory, path);
  }

  #found(path: RootPath): Found {
    const found = this.#find(path);
    if (found === undefined) throw notFound(path);
    return found;
  }

  #diskOf(found: Found): LayerDisk {
    return this.#layer(found.layer);
  }

  #layer(index: number): LayerDisk {
    const disk = this.#layers[index];
    if (disk === undefined)
      throw new RangeError(`a stack of ${String(this.#layers.length)} layers`);
    return disk;
  }

  /** Callers ask several things about one path in a row. */
  #find(path: RootPath): Found | undefined {
    if (this.#last?.path.equals(path) !== true) this.#last = { path, found: this.#lookUp(path) };
    return this.#last.found;
  }

  #lookUp(path: RootPath): Found | undefined {
    const parent = parentRootPath(path);
    if (parent === undefined) return this.#root();
    const directory = this.#directory(parent);
    if (directory === undefined) return undefined;
    // After a readdir it is known which layer has the name, or that none has.
    const names = this.#names.get(key(parent));
    if (names === undefined) return this.#search(directory, path);
    const layer = names.get(key(baseName(path)));
    return layer === undefined ? undefined : this.#search([layer], path);
  }

  #root(): Found {
    const [top] = this.#layers;
    const stat = top?.stat(top.directory);
    return { layer: 0, stat: stat === undefined ? emptyRoot : nodeStat(stat, 0) };
  }

  #search(layers: readonly number[], path: RootPath): Found | undefined {
    for (const layer of layers) {
      const disk = this.#layer(layer);
      const absolute = locate(disk.directory, path);
      const stat = disk.stat(absolute);
      if (stat === undefined) continue;
      if (isWhiteout(stat)) return undefined;
      const found = nodeStat(stat, layer);
      return { layer, stat: disk.isDirect ? new PlainNode(found, { absolute, stat }) : found };
    }
    return undefined;
  }

  #directory(path: RootPath): Directory | undefined {
    const known = key(path);
    if (this.#directories.has(known)) return this.#directories.get(known);
    const parent = this.#directory(parentRootPath(path) ?? path);
    const layers = parent === undefined ? [] : this.#partsOf(parent, path);
    const directory = layers.length === 0 ? undefined : layers;
    this.#directories.set(known, directory);
    return directory;
  }

  /** From the top down to the first layer that hides the rest: by a whiteout, another kind of node, or opaqueness. */
  #partsOf(parent: Directory, path: RootPath): number[] {
    const parts: number[] = [];
    for (const layer of parent) {
      const disk = this.#layer(layer);
      const absolute = locate(disk.directory, path);
      const stat = disk.stat(absolute);
      if (stat === undefined) continue;
      if (!isDirectory(stat)) break;
      parts.push(layer);
      if (disk.isOpaque(absolute)) break;
    }
    return parts;
  }

  /** Names and the topmost layer that has each, without those that are whited out. */
  #namesOf(path: RootPath, directory: Directory): ReadonlyMap<string, number> {
    const known = this.#names.get(key(path));
    if (known !== undefined) return known;
    const topmost = new Map<string, number>();
    const hidden: string[] = [];
    for (const layer of directory) {
      const disk = this.#layer(layer);
      disk.eachName(locate(disk.directory, path), (name, isWhiteout) => {
        if (topmost.has(name)) return;
        topmost.set(name, layer);
        if (isWhiteout) hidden.push(name);
      });
    }
    for (const name of hidden) topmost.delete(name);
    this.#names.set(key(path), topmost);
    return topmost;
  }
}

/** A node that lies on the disk as it looks. What tells its version is made when it is asked for: most never ask. */
class PlainNode implements NodeStat {
  readonly type: NodeStat["type"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly nlink: number;
  readonly inode: string;
  readonly #absolute: Buffer;
  readonly #stat: FileStat;
  #statKey: StatKey | undefined;

  constructor(node: NodeStat, place: { readonly absolute: Buffer; readonly stat: FileStat }) {
    this.type = node.type;
    this.mode = node.mode;
    this.uid = node.uid;
    this.gid = node.gid;
    this.size = node.size;
    this.mtime = node.mtime;
    this.devMajor = node.devMajor;
    this.devMinor = node.devMinor;
    this.nlink = node.nlink;
    this.inode = node.inode;
    this.#absolute = place.absolute;
    this.#stat = place.stat;
  }

  get statKey(): StatKey {
    return (this.#statKey ??= this.#version());
  }

  #version(): StatKey {
    const { size, mtimeNs, ctimeNs, ino, dev } = this.#stat;
    const path = this.#absolute.toString("latin1");
    return { path, size, mtimeNs, ctimeNs, inode: ino, device: dev };
  }
}

/** The root of nothing: what an image without layers shows. */
const emptyRoot: NodeStat = {
  type: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  devMajor: 0,
  devMinor: 0,
  nlink: 2,
  inode: "root",
};

/** `a`, `a/b`, `a/b/c` of `a/b/c`. */
function* prefixes(path: RootPath): Generator<RootPath, void, undefined> {
  for (let end = 0; end < path.length;) {
    const slash = path.indexOf(0x2f, end + 1);
    end = slash === -1 ? path.length : slash;
    yield path.subarray(0, end);
  }
}

/** Latin-1 gives each byte string a string of its own. */
function key(path: Buffer): string {
  return path.toString("latin1");
}

/** Takes `fd` over. */
export function openedFile(fd: number): OpenedFile {
  // Closing what was only read never waits; through the pool it would cost more than the reading of a small file.
  return { fd, size: fstatSync(fd).size, close: async () => closeSync(fd) };
}

export function notFound(path: RootPath): Error {
  const text = rootPathToString(path);
  return snapshotError("SNAPSHOT_ENTRY_NOT_FOUND", `read /${text}: it is not there`, {
    details: { path: text },
  });
}

export function notDirectory(path: RootPath): Error {
  const text = rootPathToString(path);
  return snapshotError("SNAPSHOT_NOT_A_DIRECTORY", `use /${text} as a directory: it is none`, {
    hint: "remove what is in the way first, or choose another path",
    details: { path: text },
  });
}

export function notFile(path: RootPath): Error {
  const text = rootPathToString(path);
  return snapshotError("SNAPSHOT_NOT_A_FILE", `read /${text}: it is no regular file`, {
    details: { path: text },
  });
}
