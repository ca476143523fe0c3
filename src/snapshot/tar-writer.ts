import { rmSync } from "node:fs";
import { Readable } from "node:stream";
import { diffId, diskFull, isDiskFull, tellPath } from "../core/index.ts";
import {
  contentPlaceSize,
  joinRootPath,
  type LayerEntry,
  LayerTarDigester,
  type MergedTree,
  nameStart,
  parentRootPath,
  readLayerTar,
  rootPath,
  type RootPath,
  rootPathToString,
} from "../layer/index.ts";
import { comesBehind, isNextIn, isPlain, isPlainAt, type LoggedLayer } from "./layer-log.ts";
import { expectTellableName, hardlinkEntry } from "./file-entry.ts";
import type { SharedNode } from "./layer-disk.ts";
import { notDirectory } from "./stack-tree.ts";
import { readTarFile, TarFile } from "./tar-file.ts";
import { TarPieces } from "./tar-pieces.ts";
import { impliedLooks } from "./tree-writer.ts";
import type {
  Device,
  FileContent,
  LaterFiles,
  NodeAttributes,
  SmallContent,
  TreeWriter,
  TreeWriterOptions,
  WantedDigests,
} from "./types.ts";
import { lengthOf, readLarge, readSmall, smallFile } from "./write-content.ts";

/** What any disk takes as a name; and as a path of a layer, below some folder. Who has longer ones hears it from the disk. */
const [longestName, longestPath] = [255, 3500];

interface FileTarget {
  readonly path: RootPath;
  readonly attributes: NodeAttributes;
  readonly size: number;
}

export interface TarWriterPlace {
  /** What lies below the layer. */
  readonly lower: MergedTree;
  /** Where the tar goes: a path where nothing is. */
  readonly tar: string;
  /** Opens the writer that makes files, in the same layer, when a tar will not do. */
  readonly openFiles: () => TreeWriter;
}

/**
 * Writes the tar of a layer, and none of its files: 20,000 files are one file then, written from its beginning to its end.
 * It says byte for byte what the files would have given, by the rule of `LayerLog`: nodes come once, in the order of the
 * tar, and look as any filesystem keeps them. With the first one that is otherwise, what the tar has is made into files,
 * and the usual writer goes on.
 */
export class TarWriter implements TreeWriter {
  readonly #place: TarWriterPlace;
  readonly #implied: NodeAttributes;
  readonly #file: TarFile;
  readonly #pieces: TarPieces;
  readonly #tar: LayerTarDigester;
  /** Directories that are in the layer. */
  readonly #ready = new Set<string>([""]);
  /** A directory whose looks may still change: until something is written into it or beside it. */
  #held: { readonly path: RootPath; readonly attributes: NodeAttributes } | undefined;
  #last: RootPath | undefined;
  /** Nodes that may get more names. Files that are written at once are those that have only one. */
  readonly #linkable = new Map<string, LayerEntry>();
  readonly #signal: AbortSignal | undefined;
  #contentSize = 0;
  #files: TreeWriter | undefined;
  #result: LoggedLayer | undefined;

  constructor(place: TarWriterPlace, options: TreeWriterOptions = {}) {
    this.#place = place;
    this.#implied = options.implied ?? impliedLooks;
    this.#signal = options.signal;
    this.#file = new TarFile(place.tar);
    this.#pieces = new TarPieces(this.#file, options.thread);
    this.#tar = new LayerTarDigester(this.#pieces);
    this.#tar.usePlaces(this.#pieces);
  }

  /** What the tar holds, once the writer has finished; undefined when there are files instead. */
  get result(): LoggedLayer | undefined {
    return this.#result;
  }

  async directory(path: RootPath, attributes: NodeAttributes): Promise<void> {
    if (await this.#canHold(path, attributes)) this.#hold(path, attributes);
    else await (await this.#makeFiles()).directory(path, attributes);
  }

  newDirectory(path: RootPath, attributes: NodeAttributes): boolean {
    if (this.#files !== undefined || !this.#isNextNode(path, attributes)) return false;
    if (this.#ask(() => this.#pieces.isFull)) return false;
    this.#hold(path, attributes);
    return true;
  }

  async file(path: RootPath, attributes: NodeAttributes, content: FileContent): Promise<void> {
    if (content instanceof Readable || !(await this.#canAdd(path, attributes)))
      return (await this.#makeFiles()).file(path, attributes, content);
    await this.#telling(path, async () => {
      const entry = entryOf("file", { path, attributes, size: lengthOf(content) ?? 0 });
      // Its parts are nobody's memory but the reader's.
      if (entry.size > smallFile) await this.#drain();
      this.#begin(entry);
      await this.#addContent(path, content);
      this.#end(entry);
      this.#linkable.set(key(path), entry);
    });
  }

  smallFile(path: RootPath, attributes: NodeAttributes, content: SmallContent): boolean {
    if (this.#files !== undefined) return this.#files.smallFile(path, attributes, content);
    const size = Buffer.isBuffer(content) ? content.length : content.size;
    const target = { path, attributes, size };
    // `file` waits then, or makes files of what is here.
    if (size > smallFile || !this.#isNextNode(path, attributes)) return false;
    if (this.#ask(() => this.#pieces.isFull)) return false;
    this.#addAtOnce(target, () => {
      readSmall({ path, tar: this.#tar, queue: undefined }, content);
    });
    return true;
  }

  get canReadLater(): boolean {
    return this.#files === undefined && this.#ask(() => this.#pieces.canWait);
  }

  room(): Promise<void> | undefined {
    if (this.#files !== undefined || !this.#ask(() => this.#pieces.isFull)) return undefined;
    return this.#room();
  }

  get mayTakeLater(): boolean {
    return this.#files === undefined;
  }

  takesLater({ files, to, modes }: LaterFiles): number {
    const { names, sizes, seconds } = files;
    const [first] = names;
    if (first === undefined || this.#files !== undefined || !this.#isNextIn(to, first)) return 0;
    for (let index = 0; index < names.length; index++) {
      const length = names[index]?.length ?? 0;
      const isSmall = (sizes[index] ?? 0) <= contentPlaceSize;
      if (!isSmall || !isPlainAt(modes[index] ?? 0, seconds[index] ?? -1)) return index;
      if (length > longestName || to.length + 1 + length > longestPath) return index;
    }
    return names.length;
  }

  laterFiles(later: LaterFiles, count: number, digests: WantedDigests | undefined): void {
    const { files, to, modes, uid, gid } = later;
    const { names, sizes, seconds, nanoseconds } = files;
    this.#flush();
    for (let index = 0; index < count; index++) {
      const path = joinRootPath(to, names[index] ?? rootPath);
      const size = sizes[index] ?? 0;
      expectTellableName(path);
      this.#last = path;
      try {
        this.#tar.usualHeader({
          type: "file",
          path,
          mode: modes[index] ?? 0,
          uid,
          gid,
          size,
          seconds: seconds[index] ?? 0,
          nanoseconds: nanoseconds[index] ?? 0,
        });
        this.#pieces.expect({ later, index, digests, at: this.#tar.skip(size) });
        this.#tar.pad(size);
      } catch (error) {
        throw toldWithPath(error, path);
      }
      this.#contentSize += size;
    }
  }

  async symlink(path: RootPath, attributes: NodeAttributes, target: Buffer): Promise<void> {
    const shown = { ...attributes, mode: 0o777 };
    if (target.length > longestPath || !(await this.#canAdd(path, shown)))
      return (await this.#makeFiles()).symlink(path, attributes, target);
    const entry = { ...entryOf("symlink", { path, attributes: shown }), linkTarget: target };
    await this.#telling(path, () => {
      this.#begin(entry);
      this.#linkable.set(key(path), entry);
    });
  }

  async hardlink(path: RootPath, target: RootPath): Promise<void> {
    const first = this.#linkable.get(key(target));
    if (first === undefined || !(await this.#canAdd(path, first)))
      return (await this.#makeFiles()).hardlink(path, target);
    await this.#telling(path, () => {
      this.#begin(hardlinkEntry(first, { path, target: first.path }));
      this.#linkable.set(key(path), first);
    });
  }

  async device(path: RootPath, attributes: NodeAttributes, device: Device): Promise<void> {
    return (await this.#makeFiles()).device(path, attributes, device);
  }

  async fifo(path: RootPath, attributes: NodeAttributes): Promise<void> {
    return (await this.#makeFiles()).fifo(path, attributes);
  }

  async share(path: RootPath, node: SharedNode): Promise<boolean> {
    return (await this.#makeFiles()).share(path, node);
  }

  async setAttributes(path: RootPath, attributes: Partial<NodeAttributes>): Promise<void> {
    await this.#bringUp(path);
    const held = this.#held;
    const looks = held?.path.equals(path) === true && { ...held.attributes, ...attributes };
    if (looks !== false && isPlain(looks)) this.#held = { path, attributes: looks };
    else await (await this.#makeFiles()).setAttributes(path, attributes);
  }

  async remove(path: RootPath): Promise<void> {
    return (await this.#makeFiles()).remove(path);
  }

  async hideLower(path: RootPath): Promise<void> {
    return (await this.#makeFiles()).hideLower(path);
  }

  async hideLowerChildren(path: RootPath): Promise<void> {
    return (await this.#makeFiles()).hideLowerChildren(path);
  }

  async settle(path?: RootPath): Promise<void> {
    await this.#files?.settle(path);
  }

  async stop(): Promise<void> {
    await this.#pieces.stop();
    this.#file.close();
    await this.#files?.stop();
  }

  async finish(): Promise<void> {
    if (this.#files !== undefined) return this.#files.finish();
    this.#result = await this.#endTar();
  }

  /** Whether `path` may be the directory whose looks are not told yet; what is above it is in the layer then. */
  async #canHold(path: RootPath, attributes: NodeAttributes): Promise<boolean> {
    if (this.#held?.path.equals(path) === true) return isPlain(attributes);
    return this.#canAdd(path, attributes);
  }

  /** Whether the tar goes on with a node that looks so; what is above it is in the layer then. */
  async #canAdd(
    path: RootPath,
    attributes: Pick<NodeAttributes, "mode" | "mtime" | "xattrs">,
  ): Promise<boolean> {
    const parent = parentRootPath(path);
    if (this.#files !== undefined || parent === undefined || !isPlain(attributes)) return false;
    await this.#room();
    await this.#ensure(parent);
    return this.#files === undefined && this.#isNext(path);
  }

  async #room(): Promise<void> {
    await this.#telling(this.#last ?? rootPath, async () => this.#pieces.room());
  }

  #isNext(path: RootPath): boolean {
    return isUsualName(path) && (this.#last === undefined || comesBehind(path, this.#last));
  }

  /** Whether the tar goes on with this name in directory `to`. */
  #isNextIn(to: RootPath, name: Buffer): boolean {
    if (!this.#ready.has(key(to))) return false;
    return this.#last === undefined || comesBehind(joinRootPath(to, name), this.#last);
  }

  /** Whether the tar goes on with such a node, where nothing has to be waited for. */
  #isNextNode(path: RootPath, attributes: NodeAttributes): boolean {
    // Most nodes lie beside the one before: then their directory is there.
    if (this.#last === undefined || !isNextIn(path, this.#last)) {
      const parent = parentRootPath(path);
      if (parent === undefined || !this.#ready.has(key(parent))) return false;
      if (this.#last !== undefined && !comesBehind(path, this.#last)) return false;
    }
    return isUsualName(path) && isPlain(attributes);
  }

  /** To ask is to write what was ready: the disk may be full. */
  #ask(question: () => boolean): boolean {
    try {
      return question();
    } catch (error) {
      throw toldWithPath(error, this.#last ?? rootPath);
    }
  }

  #addAtOnce(target: FileTarget, addContent: () => void): void {
    try {
      const entry = entryOf("file", target);
      this.#begin(entry);
      addContent();
      this.#end(entry);
    } catch (error) {
      throw toldWithPath(error, target.path);
    }
  }

  #hold(path: RootPath, attributes: NodeAttributes): void {
    expectTellableName(path);
    if (this.#held?.path.equals(path) !== true) this.#flush();
    this.#held = { path, attributes };
    this.#last = path;
    this.#ready.add(key(path));
  }

  #begin(entry: LayerEntry): void {
    expectTellableName(entry.path);
    this.#flush();
    this.#last = entry.path;
    this.#tar.header(entry);
  }

  #end({ size }: LayerEntry): void {
    this.#tar.pad(size);
    this.#contentSize += size;
  }

  #flush(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    try {
      this.#tar.header(entryOf("directory", held));
    } catch (error) {
      throw toldWithPath(error, held.path);
    }
  }

  async #addContent(path: RootPath, content: Exclude<FileContent, Readable>): Promise<void> {
    if (Buffer.isBuffer(content)) this.#tar.content(content);
    else if (content.size <= smallFile)
      readSmall({ path, tar: this.#tar, queue: undefined }, content);
    else
      await readLarge({ path, signal: this.#signal }, content, (part) => {
        this.#tar.content(part);
      });
  }

  /** Makes sure that the layer has directory `path`, looking as it does below or as new parents look. */
  async #ensure(path: RootPath): Promise<void> {
    const parent = parentRootPath(path);
    if (parent === undefined || this.#ready.has(key(path)) || this.#files !== undefined) return;
    await this.#ensure(parent);
    const below = await this.#place.lower.lstat(path);
    if (below === undefined) return this.directory(path, this.#implied);
    if (below.type !== "directory") throw notDirectory(path);
    await this.directory(path, { ...below, xattrs: await this.#place.lower.xattrs(path) });
  }

  /** The same of a directory that is below. */
  async #bringUp(path: RootPath): Promise<void> {
    if (this.#files !== undefined || this.#ready.has(key(path))) return;
    const below = await this.#place.lower.lstat(path);
    if (below?.type === "directory") await this.#ensure(path);
  }

  /** Waits until all that there is of the tar is written. */
  async #drain(): Promise<void> {
    this.#tar.flush();
    await this.#pieces.settle();
  }

  async #endTar(): Promise<LoggedLayer> {
    this.#flush();
    try {
      this.#tar.end();
      // Whatever the thread does about the tar is over then: when the descriptor is closed, its number may soon be another file's.
      const { digest, size } = await this.#pieces.finish();
      this.#file.close();
      return { diffId: diffId(digest), tarSize: size, contentSize: this.#contentSize };
    } catch (error) {
      // The end of the tar is written only now.
      throw toldWithPath(error, this.#last ?? rootPath);
    }
  }

  /** The writer of files, which has written what the tar holds. */
  async #makeFiles(): Promise<TreeWriter> {
    if (this.#files !== undefined) return this.#files;
    await this.#endTar();
    const files = this.#place.openFiles();
    this.#files = files;
    await writeNodes(files, this.#file.path);
    rmSync(this.#file.path);
    return files;
  }

  async #telling(path: RootPath, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw toldWithPath(error, path);
    }
  }
}

/** Writes what a tar of ours holds, where each path is meant literally. */
async function writeNodes(writer: TreeWriter, tar: string): Promise<void> {
  for await (const entry of readLayerTar(readTarFile(tar), { isOurs: true })) {
    const { path, linkTarget = Buffer.alloc(0) } = entry;
    switch (entry.type) {
      case "directory":
        await writer.directory(path, entry);
        break;
      case "file": {
        const content = entry.read?.() ?? entry.open?.() ?? Buffer.alloc(0);
        const isDone = Buffer.isBuffer(content) && writer.smallFile(path, entry, content);
        if (!isDone) await writer.file(path, entry, content);
        break;
      }
      case "symlink":
        await writer.symlink(path, entry, linkTarget);
        break;
      case "hardlink":
        await writer.hardlink(path, linkTarget);
        break;
      default:
        throw new Error(`a ${entry.type} is never written into such a tar`);
    }
  }
  await writer.settle();
}

function entryOf(
  type: "file" | "directory" | "symlink",
  node: {
    readonly path: RootPath;
    readonly attributes: NodeAttributes;
    readonly size?: number;
  },
): LayerEntry {
  const { path, attributes, size = 0 } = node;
  const { mode, uid, gid, mtime } = attributes;
  return { path, type, mode, uid, gid, mtime, size };
}

function isUsualName(path: RootPath): boolean {
  return path.length - nameStart(path) <= longestName && path.length <= longestPath;
}

function toldWithPath(error: unknown, path: RootPath): unknown {
  const shown = `/${rootPathToString(path)}`;
  return isDiskFull(error) ? diskFull(shown, error) : tellPath(error, shown);
}

/** Latin-1 gives each byte string a string of its own. */
function key(path: RootPath): string {
  return path.toString("latin1");
}
