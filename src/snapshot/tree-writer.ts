import { closeSync, type Dirent, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import {
  diskFull,
  type FileStat,
  isDiskFull,
  syscallErrno,
  isTsbuildError,
  tellPath,
  type TsbuildError,
} from "../core/index.ts";
import {
  joinRootPath,
  type MergedTree,
  parentRootPath,
  type RootPath,
  rootPath,
  rootPathToString,
} from "../layer/index.ts";
import { mayGiveGroup, mayHandOn } from "./attributes.ts";
import { copyNode } from "./copy-node.ts";
import { snapshotError } from "./errors.ts";
import { isDirectory, isSymlink, isWhiteout, locate } from "./disk.ts";
import type { LayerDisk, SharedNode } from "./layer-disk.ts";
import { notDirectory, notFile, notFound } from "./stack-tree.ts";
import type {
  ActiveSnapshot,
  Device,
  FileContent,
  SmallContent,
  NodeAttributes,
  TreeWriter,
  TreeWriterOptions,
} from "./types.ts";
import { isPlain, type LayerLog } from "./layer-log.ts";
import {
  closingAfter,
  createFile,
  createFileIfFree,
  lengthOf,
  readSmall,
  smallFile,
  writeAll,
  writeContent,
} from "./write-content.ts";
import { type QueuedFile, WriteQueue } from "./write-queue.ts";

export interface TreeWriterPlace {
  readonly disk: LayerDisk;
  /** What lies below the layer; an empty tree where the directory holds everything itself. */
  readonly lower: MergedTree;
  /** `complete`: the directory already holds the parent's files, so that removing is just that. */
  readonly form: "overlay" | "complete";
  /** Told of everything that is written. */
  readonly log?: LayerLog | undefined;
}

export type { TreeWriter, TreeWriterOptions } from "./types.ts";

/** A writer of the changes in `active`; see TreeWriter. */
export function openTreeWriter(active: ActiveSnapshot, options?: TreeWriterOptions): TreeWriter {
  return active.openWriter(options);
}

/** Too many names already; a filesystem without hard links; another filesystem. */
const unshareable: ReadonlySet<string> = new Set(["EMLINK", "EPERM", "EXDEV"]);

/** Looks of parents that exist nowhere yet. */
export const impliedLooks: NodeAttributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0n };

/**
 * The one writer of layers in overlayfs form (and of complete trees). It creates nodes with synchronous calls: each takes
 * microseconds, and twenty thousand files through promises took four times as long. Only content over a megabyte waits.
 *
 * It is one piece because its parts share one piece of knowledge: which directories of the layer are ready, and which of
 * them hide what is below.
 */
export class LayerWriter implements TreeWriter {
  readonly #place: TreeWriterPlace;
  readonly #disk: LayerDisk;
  readonly #implied: NodeAttributes;
  readonly #log: LayerLog | undefined;
  readonly #queue: WriteQueue | undefined;
  readonly #tellFile: (error: unknown, path: RootPath) => unknown;
  readonly #signal: AbortSignal | undefined;
  /** Directories that are in the layer, with the time that each is to have in the end. */
  readonly #ready = new Map<string, bigint>();
  /** Modes of those that got files, until they change. */
  readonly #giveGroup = new Map<string, boolean>();
  /** Whether what is made in a directory that is ready gets an ACL from it, where that was asked. */
  readonly #handsOn = new Map<string, boolean>();
  /** Those of them that hide everything below them in lower layers. */
  readonly #opaque = new Set<string>();
  /** Those of them that were cleaned of all that was there for the sake of lower layers, down to the last directory. */
  readonly #sealed = new Set<string>();
  /** Whether lower layers show in a directory that is ready; none is in here whose parent is not. */
  readonly #showsLower = new Map<string, boolean>();
  /** Nodes that are in the layer only because something else needed them there: a hard link, a mark, a child. */
  readonly #copiedUp = new Set<string>();
  /** Everything written here; kept for complete trees alone, where the parent's files lie among it. */
  readonly #written = new Set<string>();

  constructor(place: TreeWriterPlace, options: TreeWriterOptions = {}) {
    this.#place = place;
    this.#disk = place.disk;
    this.#log = place.log;
    this.#implied = options.implied ?? impliedLooks;
    this.#tellFile = options.tellFile ?? ((error) => error);
    this.#signal = options.signal;
    const { thread } = options;
    if (thread === undefined || place.log === undefined || !place.disk.isDirect) return;
    this.#queue = new WriteQueue(thread);
    place.log.usePlaces(this.#queue);
  }

  async directory(path: RootPath, attributes: NodeAttributes): Promise<void> {
    await this.#writeDirectory(path, attributes);
    this.#note(path);
  }

  async #writeDirectory(path: RootPath, attributes: NodeAttributes): Promise<void> {
    const known = key(path);
    await this.#settleFor(path);
    if (!this.#ready.has(known) && (await this.#makeDirectory(path, attributes))) return;
    const absolute = this.#locate(path);
    this.#giveGroup.delete(known);
    this.#handsOn.delete(known);
    this.#disk.removeOtherXattrs(absolute, attributes.xattrs);
    this.#disk.setAttributes(absolute, { isSymlink: false, attributes });
    this.#ready.set(known, attributes.mtime);
    this.#log?.directory(path, attributes.mtime);
  }

  async file(path: RootPath, attributes: NodeAttributes, content: FileContent): Promise<void> {
    await this.#create(path, async (absolute) => {
      const fd = createFile(absolute, attributes.mode & 0o777);
      await closingAfter(fd, async () => {
        const tar = this.#log?.beginFile(path, attributes, lengthOf(content));
        await writeContent({ fd, path, tar, signal: this.#signal }, content);
        this.#finishFile({ path, absolute, fd }, attributes);
      });
      this.#log?.endFile(path);
    });
  }

  /** Contents are read where the digest is taken. */
  readonly canReadLater = false;
  readonly mayTakeLater = false;

  newDirectory(): boolean {
    return false;
  }

  room(): undefined {
    return undefined;
  }

  takesLater(): number {
    return 0;
  }

  laterFiles(): void {
    throw new Error("no file is taken later here");
  }

  smallFile(path: RootPath, attributes: NodeAttributes, content: SmallContent): boolean {
    const parent = parentRootPath(path);
    const size = Buffer.isBuffer(content) ? content.length : content.size;
    if (size > smallFile || parent === undefined) return false;
    if (!this.#ready.has(key(parent)) || this.#isDisturbed(path)) return false;
    if (this.#mayHandOn(parent)) return false;
    const absolute = this.#locate(path);
    // Of what is not plain the thread knows nothing, nor does the log take the content.
    const queue = isPlain(attributes) ? this.#queue : undefined;
    try {
      const tar = this.#log?.beginFile(path, attributes, size);
      const bytes = readSmall({ path, tar, queue }, content);
      const file = {
        path,
        absolute,
        attributes,
        mayGiveGroup: this.#mayGiveGroup(parent),
        content: bytes,
      };
      if (this.#queue?.take(file) !== true && !this.#makeFile(file)) {
        this.#log?.close();
        return false;
      }
      this.#log?.endFile(path);
    } catch (error) {
      this.#log?.close();
      throw toldWithPath(error, path);
    }
    this.#note(path);
    return true;
  }

  async symlink(path: RootPath, attributes: NodeAttributes, target: Buffer): Promise<void> {
    await this.#create(path, (absolute) => {
      symlinkSync(target, absolute);
      this.#disk.setAttributes(absolute, { isSymlink: true, attributes });
      this.#log?.node(path);
    });
  }

  async hardlink(path: RootPath, target: RootPath): Promise<void> {
    // Replacing a directory by a link to what it holds would remove the target first.
    if (key(target).startsWith(`${key(path)}/`)) throw notDirectory(target);
    await this.#settleFor(target);
    await this.#settleFor(path);
    await this.#bringUp(target);
    if (this.#ready.has(key(target))) throw notFile(target);
    if (path.equals(target)) return;
    await this.#create(path, (absolute) => {
      this.#disk.link(this.#locate(target), absolute);
      this.#log?.hardlink(path, target);
    });
  }

  async device(path: RootPath, attributes: NodeAttributes, device: Device): Promise<void> {
    await this.#create(path, (absolute) => {
      this.#disk.makeDevice(absolute, device);
      this.#dropInherited(path, attributes);
      this.#disk.setAttributes(absolute, { isSymlink: false, attributes });
      this.#log?.node(path);
    });
  }

  async fifo(path: RootPath, attributes: NodeAttributes): Promise<void> {
    await this.#create(path, (absolute) => {
      this.#disk.kernel.mkfifo(absolute, 0o600);
      this.#dropInherited(path, attributes);
      this.#disk.setAttributes(absolute, { isSymlink: false, attributes });
      this.#log?.node(path);
    });
  }

  async share(path: RootPath, node: SharedNode): Promise<boolean> {
    this.#log?.close();
    try {
      await this.#create(path, (own) => {
        this.#disk.share(own, node);
      });
      return true;
    } catch (error) {
      if (unshareable.has(syscallErrno(error) ?? "")) return false;
      throw error;
    }
  }

  async setAttributes(path: RootPath, attributes: Partial<NodeAttributes>): Promise<void> {
    await this.#settleFor(path);
    await this.#bringUp(path);
    const absolute = this.#locate(path);
    const known = key(path);
    this.#giveGroup.delete(known);
    this.#handsOn.delete(known);
    const isLink = isSymlink(this.#disk.stat(absolute));
    this.#disk.setAttributes(absolute, { isSymlink: isLink, attributes });
    if (attributes.mtime !== undefined && this.#ready.has(known))
      this.#ready.set(known, attributes.mtime);
    this.#note(path);
    const mtime = this.#ready.get(known);
    if (mtime === undefined) this.#log?.close();
    else this.#log?.directory(path, mtime);
  }

  async remove(path: RootPath): Promise<void> {
    const parent = parentRootPath(path);
    if (parent === undefined) throw new Error("the root cannot be removed");
    await this.#settleFor(path);
    // The kernel takes no mark on the root, so what the root hides every name of it has to hide.
    const isRootsName = parent.length === 0 && this.#sealed.has("");
    const below = isRootsName ? this.#place.lower.lstat(path) : this.#visibleBelow(path);
    const hidesSomething = (await below) !== undefined;
    const present = this.#present(path);
    if (present === undefined ? !hidesSomething : isWhiteout(present)) return;
    await this.#ensure(parent);
    if (present !== undefined) await this.#clear(path, present);
    if (hidesSomething) this.#whiteOut(path);
  }

  async hideLower(path: RootPath): Promise<void> {
    await this.#settleFor(path);
    const present = this.#present(path);
    if (present === undefined || isWhiteout(present) || !this.#isOwn(key(path)))
      return this.remove(path);
    if (isDirectory(present)) await this.hideLowerChildren(path);
  }

  async hideLowerChildren(path: RootPath): Promise<void> {
    await this.settle();
    await this.#ensure(path);
    if (this.#place.form === "complete") return this.#removeParents(path);
    // What was hidden once stays so: nothing of it can have been copied up or whited out since.
    if (this.#sealed.has(key(path))) return;
    this.#log?.close();
    if (path.length === 0) return this.#hideLowerRoot();
    this.#markOpaque(path);
    await this.#seal(path);
  }

  async settle(path?: RootPath): Promise<void> {
    if (path !== undefined && this.#queue?.isAwaited(path) !== true) return;
    const refused = (await this.#queue?.settle()) ?? [];
    for (const { path, attributes, content } of refused) {
      this.#log?.close();
      try {
        await this.file(path, attributes, content);
      } catch (error) {
        throw this.#tellFile(error, path);
      }
    }
  }

  async stop(): Promise<void> {
    await this.#queue?.settle();
  }

  async finish(): Promise<void> {
    await this.settle();
    for (const [known, mtime] of this.#ready) {
      this.#disk.kernel.utimens(this.#locate(Buffer.from(known, "latin1")), { mtime });
    }
    this.#log?.finish();
  }

  /**
   * Waits for files on their way that have to do with `path`: one that is to be there, or above, and whatever is to be
   * below it when it is a directory. No file is on its way below what is not ready, and all is ready above what is.
   */
  async #settleFor(path: RootPath): Promise<void> {
    const queue = this.#queue;
    if (queue?.isBusy !== true) return;
    if (queue.hasRefused || this.#ready.has(key(path))) return this.settle();
    for (let at: RootPath | undefined = path; at !== undefined; at = parentRootPath(at)) {
      if (this.#ready.has(key(at))) return;
      if (queue.isAwaited(at)) return this.settle();
    }
  }

  /** Whether a file at `path`, whose directory is ready, may not be made beside those on their way. */
  #isDisturbed(path: RootPath): boolean {
    const queue = this.#queue;
    if (queue === undefined) return false;
    return queue.hasRefused || queue.isAwaited(path) || this.#ready.has(key(path));
  }

  /** False when something has the name. */
  #makeFile({ path, absolute, attributes, content }: QueuedFile): boolean {
    const fd = createFileIfFree(absolute, attributes.mode & 0o777);
    if (fd === undefined) return false;
    try {
      writeAll(fd, content);
      this.#finishFile({ path, absolute, fd }, attributes);
    } finally {
      closeSync(fd);
    }
    return true;
  }

  #finishFile(
    file: { readonly path: RootPath; readonly absolute: Buffer; readonly fd: number },
    attributes: NodeAttributes,
  ): void {
    const { path, absolute, fd } = file;
    const parent = parentRootPath(path) ?? rootPath;
    if (this.#mayHandOn(parent)) {
      this.#dropInherited(path, attributes);
      this.#disk.setAttributes(absolute, { isSymlink: false, attributes });
    } else {
      const mayGiveGroup = this.#mayGiveGroup(parent);
      this.#disk.setNewFileAttributes(absolute, { attributes, mayGiveGroup, fd });
    }
  }

  #mayGiveGroup(directory: RootPath): boolean {
    const known = key(directory);
    let mayGive = this.#giveGroup.get(known);
    if (mayGive === undefined) {
      const stat = this.#disk.stat(this.#locate(directory));
      mayGive = mayGiveGroup({ mode: stat?.mode ?? 0, gid: stat?.gid ?? -1 });
      this.#giveGroup.set(known, mayGive);
    }
    return mayGive;
  }

  #locate(path: RootPath): Buffer {
    return locate(this.#disk.directory, path);
  }

  /** What holds something of this layer belongs to it as well. */
  #note(path: RootPath): void {
    if (this.#place.form === "overlay") {
      if (this.#copiedUp.size > 0) this.#claim(path);
      return;
    }
    for (let own: RootPath | undefined = path; own !== undefined; own = parentRootPath(own)) {
      if (this.#written.has(key(own))) return;
      this.#written.add(key(own));
    }
  }

  /** Above a node that is the layer's own already, everything is. */
  #claim(path: RootPath): void {
    this.#copiedUp.delete(key(path));
    for (let own = parentRootPath(path); own !== undefined; own = parentRootPath(own))
      if (!this.#copiedUp.delete(key(own))) return;
  }

  /** Whether the node in the layer was put there by somebody who wanted it there. */
  #isOwn(known: string): boolean {
    return this.#place.form === "complete" ? this.#written.has(known) : !this.#copiedUp.has(known);
  }

  /** Runs `make`, which fails with EEXIST when the name is taken; then what is there goes, and `make` runs again. */
  async #create(path: RootPath, make: (absolute: Buffer) => void | Promise<void>): Promise<void> {
    const parent = parentRootPath(path);
    if (parent === undefined) throw notDirectory(rootPath);
    await this.#settleFor(path);
    if (!this.#ready.has(key(parent))) await this.#ensure(parent);
    const absolute = this.#locate(path);
    try {
      try {
        await make(absolute);
      } catch (error) {
        if (syscallErrno(error) !== "EEXIST") throw error;
        const present = this.#disk.stat(absolute);
        if (present !== undefined) await this.#clear(path, present);
        await make(absolute);
      }
    } catch (error) {
      this.#log?.close();
      throw toldWithPath(error, path);
    }
    this.#note(path);
  }

  /** Removes what the layer has at `path`, and all that is known about it. */
  async #clear(path: RootPath, present: FileStat): Promise<void> {
    this.#log?.close();
    const absolute = this.#locate(path);
    if (!isDirectory(present)) {
      this.#disk.unlink(absolute);
      this.#written.delete(key(path));
      return;
    }
    this.#forget(path);
    await this.#disk.removeTree(absolute);
  }

  /**
   * Forgets a directory and all that is in it. Asking the disk what that is costs no more than removing it will; looking
   * through all that is known would cost as much for every directory that goes as for all of them.
   */
  #forget(path: RootPath): void {
    const known = key(path);
    for (const set of this.#knowledge) set.delete(known);
    let names: readonly Dirent[];
    try {
      names = readdirSync(this.#locate(path), { encoding: "latin1", withFileTypes: true });
    } catch {
      return this.#forgetAllBelow(`${known}/`);
    }
    for (const entry of names) {
      const child = joinRootPath(path, Buffer.from(entry.name, "latin1"));
      if (entry.isDirectory()) this.#forget(child);
      else for (const set of [this.#copiedUp, this.#written]) set.delete(key(child));
    }
  }

  /** What a directory holds that cannot be read: a process may have closed it, or gone deeper than a path can name. */
  #forgetAllBelow(prefix: string): void {
    for (const set of this.#knowledge)
      for (const member of set.keys()) if (member.startsWith(prefix)) set.delete(member);
  }

  get #knowledge() {
    const { form } = this.#place;
    const ofAll = [
      this.#ready,
      this.#giveGroup,
      this.#handsOn,
      this.#opaque,
      this.#sealed,
      this.#showsLower,
    ];
    return form === "complete" ? [...ofAll, this.#written] : [...ofAll, this.#copiedUp];
  }

  /**
   * Makes `path` a directory of the layer, whatever was there. True for a new one that looks as `attributes` say, but for
   * its time; otherwise they are for the caller to set.
   */
  async #makeDirectory(path: RootPath, attributes: NodeAttributes): Promise<boolean> {
    const parent = parentRootPath(path);
    if (parent === undefined) {
      await this.#ensure(path);
      return false;
    }
    if (!this.#ready.has(key(parent))) await this.#ensure(parent);
    if (this.#makeNewDirectory(path, { parent, attributes })) return true;
    const absolute = this.#locate(path);
    const present = this.#disk.stat(absolute);
    if (present !== undefined && isDirectory(present)) {
      this.#learn(path, present);
      return false;
    }
    // Whatever is here, a whiteout or a file, hides a lower directory; a new one must go on doing so.
    if (present !== undefined) await this.#clear(path, present);
    try {
      mkdirSync(absolute, 0o700);
    } catch (error) {
      throw toldWithPath(error, path);
    }
    this.#ready.set(key(path), 0n);
    this.#log?.directory(path, 0n);
    if (present !== undefined && this.#place.form === "overlay") this.#markOpaque(path);
    return false;
  }

  /** False, with nothing done, when something has the name, or the directory would inherit what it is not to have. */
  #makeNewDirectory(
    path: RootPath,
    { parent, attributes }: { readonly parent: RootPath; readonly attributes: NodeAttributes },
  ): boolean {
    if (this.#mayHandOn(parent)) return false;
    const absolute = this.#locate(path);
    try {
      if (
        !this.#disk.makeDirectory(absolute, {
          attributes,
          mayGiveGroup: this.#mayGiveGroup(parent),
        })
      )
        return false;
    } catch (error) {
      throw toldWithPath(error, path);
    }
    const known = key(path);
    this.#ready.set(known, attributes.mtime);
    this.#giveGroup.set(known, mayGiveGroup(attributes));
    this.#handsOn.set(known, mayHandOn(attributes.xattrs));
    this.#log?.newDirectory(path, attributes);
    return true;
  }

  /** Takes away what a new node, which is no symlink, got from its directory. */
  #dropInherited(path: RootPath, { xattrs }: NodeAttributes): void {
    if (this.#mayHandOn(parentRootPath(path) ?? rootPath))
      this.#disk.removeOtherXattrs(this.#locate(path), xattrs);
  }

  /** Whether what is made in the directory gets an ACL from it. */
  #mayHandOn(directory: RootPath): boolean {
    const known = key(directory);
    let handsOn = this.#handsOn.get(known);
    if (handsOn === undefined) {
      handsOn = mayHandOn(this.#disk.xattrs(this.#locate(directory)));
      this.#handsOn.set(known, handsOn);
    }
    return handsOn;
  }

  /** Makes sure that the layer itself has directory `path`, looking as it did below or as new parents look. */
  async #ensure(path: RootPath): Promise<void> {
    if (this.#ready.has(key(path))) return;
    const parent = parentRootPath(path);
    if (parent !== undefined) await this.#ensure(parent);
    const present = this.#disk.stat(this.#locate(path));
    if (present !== undefined && isDirectory(present)) return this.#learn(path, present);
    if (present !== undefined && !isWhiteout(present)) throw notDirectory(path);
    const below = present === undefined ? await this.#visibleBelow(path) : undefined;
    if (below !== undefined && below.type !== "directory") throw notDirectory(path);
    if (below === undefined) return this.directory(path, this.#implied);
    const xattrs = await this.#place.lower.xattrs(path);
    await this.#writeDirectory(path, { ...below, xattrs });
    this.#copiedUp.add(key(path));
  }

  /**
   * What the layer itself has at `path`. The parents are looked at one by one: below a symlink the kernel would follow
   * it, out of the layer and into the host.
   */
  #present(path: RootPath): FileStat | undefined {
    const parent = parentRootPath(path);
    if (parent !== undefined && !this.#ready.has(key(parent))) {
      if (!isDirectory(this.#present(parent))) return undefined;
    }
    return this.#disk.stat(this.#locate(path));
  }

  /** A directory that somebody else made in the layer: an earlier writer, or a process in the sandbox. */
  #learn(path: RootPath, present: FileStat): void {
    if (path.length > 0) this.#log?.close();
    this.#ready.set(key(path), present.mtimeNs);
    const isMarked = path.length > 0 && this.#place.form === "overlay";
    if (isMarked && this.#disk.isOpaque(this.#locate(path))) this.#opaque.add(key(path));
  }

  /** What the lower layers have at `path`, unless a directory of the layer above it hides them. */
  async #visibleBelow(path: RootPath) {
    const parent = parentRootPath(path);
    if (parent !== undefined && !this.#mayShowLower(parent)) return undefined;
    return this.#place.lower.lstat(path);
  }

  /** Whether the layer lets what lower layers have in directory `path` be seen. */
  #mayShowLower(path: RootPath): boolean {
    // From `path` up to what is known, and back down: each directory is looked at once.
    const unknown: RootPath[] = [];
    let shows = true;
    for (let at: RootPath | undefined = path; at !== undefined; at = parentRootPath(at)) {
      const known = this.#showsLower.get(key(at));
      if (known !== undefined) {
        shows = known;
        break;
      }
      unknown.push(at);
    }
    for (let at = unknown.pop(); at !== undefined && shows; at = unknown.pop()) {
      if (!this.#ready.has(key(at))) {
        const present = this.#disk.stat(this.#locate(at));
        // Nothing of the layer is here or further down.
        if (present === undefined) return true;
        if (!isDirectory(present)) return false;
        this.#learn(at, present);
      }
      shows = !this.#opaque.has(key(at));
      this.#showsLower.set(key(at), shows);
    }
    return shows;
  }

  /** Makes sure that the layer itself has the node, copied with its looks when only lower layers have it. */
  async #bringUp(path: RootPath): Promise<void> {
    if (this.#ready.has(key(path))) return;
    const present = this.#present(path);
    if (present !== undefined) {
      if (isWhiteout(present)) throw notFound(path);
      // With those above it, without which nothing is ready.
      if (isDirectory(present)) await this.#ensure(path);
      return;
    }
    const below = await this.#visibleBelow(path);
    if (below === undefined) throw notFound(path);
    if (below.type === "directory") return this.#ensure(path);
    await this.#ensure(parentRootPath(path) ?? rootPath);
    const needed = this.#neededAbove(path);
    await copyNode({ tree: this.#place.lower, path, stat: below }, this);
    for (const known of [...needed, key(path)]) this.#copiedUp.add(known);
  }

  #neededAbove(path: RootPath): string[] {
    const needed: string[] = [];
    for (let own = parentRootPath(path); own !== undefined; own = parentRootPath(own))
      if (this.#copiedUp.has(key(own))) needed.push(key(own));
    return needed;
  }

  #whiteOut(path: RootPath): void {
    this.#log?.close();
    this.#disk.makeWhiteout(this.#locate(path));
  }

  #markOpaque(path: RootPath): void {
    this.#log?.close();
    this.#disk.makeOpaque(this.#locate(path));
    this.#opaque.add(key(path));
    this.#showsLower.clear();
  }

  /** Overlayfs ignores the mark on a layer's root, so every name below gets a whiteout of its own. */
  async #hideLowerRoot(): Promise<void> {
    for (const name of await this.#place.lower.readdir(rootPath)) {
      const present = this.#disk.stat(this.#locate(name));
      const isOwn = present !== undefined && this.#isOwn(key(name));
      if (present !== undefined && !isOwn) await this.#clear(name, present);
      if (!isOwn) this.#whiteOut(name);
      else if (isDirectory(present)) await this.hideLowerChildren(name);
    }
    this.#opaque.add("");
    this.#sealed.add("");
    this.#showsLower.clear();
  }

  /**
   * Takes out of an opaque directory what was copied up into it, and the whiteouts: where nothing below shows there is
   * nothing to hide, and the kernel would list them as names.
   */
  async #seal(path: RootPath): Promise<void> {
    const children: { readonly name: string; readonly isWhiteout: boolean }[] = [];
    this.#disk.eachName(this.#locate(path), (name, isWhiteout) => {
      children.push({ name, isWhiteout });
    });
    for (const { name, isWhiteout } of children) {
      const child = joinRootPath(path, Buffer.from(name, "latin1"));
      if (this.#sealed.has(key(child))) continue;
      const absolute = this.#locate(child);
      if (isWhiteout) {
        this.#disk.unlink(absolute);
        continue;
      }
      const present = this.#disk.stat(absolute);
      if (present !== undefined && !this.#isOwn(key(child))) await this.#clear(child, present);
      else if (isDirectory(present)) await this.#seal(child);
    }
    this.#sealed.add(key(path));
  }

  /** In a complete tree: removes what came from the parent. */
  async #removeParents(path: RootPath): Promise<void> {
    for (const text of readdirSync(this.#locate(path), { encoding: "latin1" })) {
      const child = joinRootPath(path, Buffer.from(text, "latin1"));
      await this.hideLower(child);
    }
  }
}

/** What every disk may say, a full one, a limit of sizes or a name that is too long, is told as such, with the path inside the root. */
function toldWithPath(error: unknown, path: RootPath): unknown {
  const shown = `/${rootPathToString(path)}`;
  if (isDiskFull(error)) return diskFull(shown, error);
  if (isTsbuildError(error, "SNAPSHOT_XATTR_REFUSED")) return refusedAt(shown, error);
  return syscallErrno(error) === "ENAMETOOLONG"
    ? nameTooLong(shown, error)
    : tellPath(error, shown);
}

function refusedAt(path: string, error: TsbuildError): Error {
  const { message, hint, details, cause } = error;
  return snapshotError("SNAPSHOT_XATTR_REFUSED", `write ${path}: ${message}`, {
    hint,
    details: { ...details, path },
    cause,
  });
}

function nameTooLong(path: string, cause: unknown): Error {
  return snapshotError("SNAPSHOT_NAME_TOO_LONG", `write ${path}: file name too long`, {
    hint: "a name has up to 255 bytes, a path some 3900, and so has what a symlink leads to",
    details: { path },
    cause,
  });
}

/** Latin-1 gives each byte string a string of its own. */
function key(path: RootPath): string {
  return path.toString("latin1");
}
