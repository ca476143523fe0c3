import { diffId, type DiffId } from "../core/index.ts";
import {
  type ContentPlaces,
  type LayerEntryWithContent,
  LayerTarDigester,
  nameStart,
  type RootPath,
} from "../layer/index.ts";
import { isPortableXattr, isWhiteout, locate, statOf } from "./disk.ts";
import { entryOf, expectTellableName, hardlinkEntry } from "./file-entry.ts";
import type { LayerDisk } from "./layer-disk.ts";
import type { NodeAttributes } from "./types.ts";

/** What a commit wants to know about a layer's tar. */
export interface LoggedLayer {
  readonly diffId: DiffId;
  readonly tarSize: number;
  readonly contentSize: number;
}

/** Up to here, and back to 0, every filesystem can hold times; others may come back from it as something else. */
const lastSecond = 2 ** 31 - 1;
const lastTime = BigInt(lastSecond) * 1_000_000_000n;

/**
 * Takes the digest of a layer's tar while the layer is written, so that its files need not be read again. That works as
 * long as nodes are written once and in the order of the tar (`overlayEntries`), as a COPY does it. As soon as something
 * else happens the log is closed, and the commit has to walk through the layer.
 *
 * What goes into the tar is what the disk says about the node, exactly as the walk would read it; only of plain files and
 * new plain directories (no attributes, no special bits) the writer's word is taken.
 */
export class LayerLog {
  readonly #disk: LayerDisk;
  #tar: LayerTarDigester | undefined = new LayerTarDigester();
  #last: RootPath | undefined;
  /** A directory whose looks may still change: until something is written into it or beside it. */
  #held:
    | {
        readonly path: RootPath;
        readonly mtime: bigint;
        /** All there is to say of it; otherwise the disk is asked. */
        readonly attributes?: NodeAttributes;
      }
    | undefined;
  /** The first name of each file that has several, by its other names. */
  readonly #firstNames = new Map<string, RootPath>();
  /** Size of the file that is being written, when its content is taken on the way. */
  #digested: number | undefined;
  #contentSize = 0;
  #isFinished = false;

  constructor(disk: LayerDisk) {
    this.#disk = disk;
  }

  /** From now on only a walk can tell what is in the layer. */
  close(): void {
    this.#tar = undefined;
    this.#held = undefined;
    this.#digested = undefined;
  }

  /** From now on small contents are read into these places. */
  usePlaces(places: ContentPlaces): void {
    this.#tar?.usePlaces(places);
  }

  /** A directory was made or got other looks. Its time is set later, to `mtime`. */
  directory(path: RootPath, mtime: bigint): void {
    if (this.#tar === undefined) return;
    // The root is an entry only when it changed.
    if (path.length === 0) return this.close();
    if (this.#held?.path.equals(path) !== true && !this.#begin(path)) return;
    this.#held = { path, mtime };
  }

  /** A directory was made that looks so; its time is set later. */
  newDirectory(path: RootPath, attributes: NodeAttributes): void {
    const { mtime } = attributes;
    if (!isPlain(attributes)) this.directory(path, mtime);
    else if (this.#begin(path)) this.#held = { path, mtime, attributes };
  }

  /** A symlink, device or FIFO was made. */
  node(path: RootPath): void {
    if (!this.#begin(path)) return;
    const entry = this.#entryOf(path);
    if (entry === undefined || entry.type === "file") return this.close();
    this.#tar?.header(entry);
  }

  /** A second name was made for `target`. */
  hardlink(path: RootPath, target: RootPath): void {
    if (!this.#begin(path)) return;
    const first = this.#firstNames.get(target.toString("latin1")) ?? target;
    this.#firstNames.set(path.toString("latin1"), first);
    const entry = this.#entryOf(first);
    if (entry === undefined) return this.close();
    this.#tar?.header(hardlinkEntry(entry, { path, target: first }));
  }

  /**
   * A file is made. What is given back takes its content; undefined when that is not wanted. `endFile` is to follow when
   * the file has its content and looks.
   * @throws SNAPSHOT_NAME_RESERVED
   */
  beginFile(
    path: RootPath,
    attributes: NodeAttributes,
    size: number | undefined,
  ): LayerTarDigester | undefined {
    if (!this.#begin(path) || size === undefined || !isPlain(attributes)) return undefined;
    const { mode, uid, gid, mtime } = attributes;
    expectTellableName(path);
    this.#tar?.header({ path, type: "file", mode, uid, gid, mtime, size });
    this.#digested = size;
    return this.#tar;
  }

  endFile(path: RootPath): void {
    const size = this.#digested;
    this.#digested = undefined;
    if (size === undefined) return this.#readFile(path);
    this.#contentSize += size;
    this.#tar?.pad(size);
  }

  /** Nothing more comes. */
  finish(): void {
    this.#flush();
    if (this.#tar === undefined || this.#isFinished) return this.close();
    this.#isFinished = true;
  }

  /** undefined when only a walk can tell; asked once. */
  result(): LoggedLayer | undefined {
    if (this.#tar === undefined || !this.#isFinished) return undefined;
    const layer = loggedLayer(this.#tar, this.#contentSize);
    this.close();
    return layer;
  }

  /** Whether the log goes on with `path`, which must come behind everything before. */
  #begin(path: RootPath): boolean {
    if (this.#tar === undefined) return false;
    const isNext = this.#last === undefined || comesBehind(path, this.#last);
    if (this.#isFinished || !isNext) {
      this.close();
      return false;
    }
    this.#flush();
    this.#last = path;
    return true;
  }

  #flush(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    const { path, mtime, attributes } = held;
    if (attributes !== undefined) {
      const { mode, uid, gid } = attributes;
      expectTellableName(path);
      this.#tar?.header({ path, type: "directory", mode, uid, gid, mtime, size: 0 });
      return;
    }
    const entry = this.#entryOf(path);
    if (entry?.type !== "directory") return this.close();
    this.#tar?.header({ ...entry, mtime });
  }

  #readFile(path: RootPath): void {
    if (this.#tar === undefined) return;
    const entry = this.#entryOf(path);
    if (entry?.read === undefined) return this.close();
    this.#tar.header(entry);
    this.#tar.content(entry.read());
    this.#tar.pad(entry.size);
    this.#contentSize += entry.size;
  }

  /** As the walk would tell it. */
  #entryOf(path: RootPath): LayerEntryWithContent | undefined {
    const absolute = locate(this.#disk.directory, path);
    const stat = this.#disk.stat(absolute);
    if (stat === undefined || isWhiteout(stat)) return undefined;
    return entryOf(this.#disk, { path, absolute, stat });
  }
}

/** A log for an empty layer; undefined where the disk may make something else of what is written. */
export function openLayerLog(disk: LayerDisk): LayerLog | undefined {
  const { kernel, directory } = disk;
  // Whatever is made in it would inherit an ACL that nobody wrote.
  if (kernel.llistxattr(directory).includes("system.posix_acl_default")) return undefined;
  kernel.utimens(directory, { mtime: 1n });
  const keepsTimes = statOf(kernel, directory)?.mtimeNs === 1n;
  return keepsTimes ? new LayerLog(disk) : undefined;
}

/** Whether a file or directory that looks so is described by these attributes alone. */
export function isPlain({
  mode,
  mtime,
  xattrs,
}: Pick<NodeAttributes, "mode" | "mtime" | "xattrs">): boolean {
  if ((mode & ~0o777) !== 0 || mtime < 0n || mtime > lastTime) return false;
  return xattrs === undefined || xattrs.size === 0 || ![...xattrs.keys()].some(isPortableXattr);
}

/** The same of what has no attributes and a time in this second. */
export function isPlainAt(mode: number, second: number): boolean {
  return (mode & ~0o777) === 0 && second >= 0 && second < lastSecond;
}

/** Ends `tar`, which has so many bytes of content. */
function loggedLayer(tar: LayerTarDigester, contentSize: number): LoggedLayer {
  const { digest, size } = tar.finish();
  return { diffId: diffId(digest), tarSize: size, contentSize };
}

/** Whether the tar has `path` behind `before`: children follow their directory, names are in byte order. */
export function comesBehind(path: RootPath, before: RootPath): boolean {
  const length = Math.min(path.length, before.length);
  for (let at = 0; at < length; at++) {
    const [byte = 0, other = 0] = [path[at], before[at]];
    if (byte === other) continue;
    if (byte === slash || other === slash) return other === slash;
    return byte > other;
  }
  return path.length > before.length;
}

/** Whether `path` lies in the directory in which `before` lies, and comes behind it. */
export function isNextIn(path: RootPath, before: RootPath): boolean {
  const start = nameStart(path);
  if (nameStart(before) !== start) return false;
  const length = Math.min(path.length, before.length);
  for (let at = 0; at < length; at++)
    if (path[at] !== before[at]) return at >= start && (path[at] ?? 0) > (before[at] ?? 0);
  return path.length > before.length;
}

const slash = 0x2f;
