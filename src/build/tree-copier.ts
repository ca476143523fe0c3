import { setImmediate } from "node:timers/promises";
import { fileChanged, parseExcludes, type Excludes, type PassingNode } from "../context/index.ts";
import { monotonicMs, type Names, plainFile } from "../core/index.ts";
import {
  baseName,
  joinRootPath,
  parentRootPath,
  rootPath,
  rootPathToString,
  type LocalFile,
  type LocalTree,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../layer/index.ts";
import type { NodeAttributes, WantedDigests } from "../snapshot/index.ts";
import {
  expectDirectory,
  expectNonDirectory,
  expectStorable,
  type CopyTarget,
} from "./copy-target.ts";
import { fitAcl } from "./fit-acl.ts";

/** A node of the source, and where it goes. */
interface Node {
  readonly from: RootPath;
  readonly to: RootPath;
  readonly stat: NodeStat;
}

/** A node of a tree that answers at once. */
interface LocalNode {
  readonly local: LocalTree;
  readonly path: RootPath;
  readonly name: Buffer;
  readonly stat: NodeStat;
  /** Where what is copied is counted on the way. */
  readonly counted: PassingNode | undefined;
}

/** A directory at the destination that copies go into. */
export interface Folder {
  readonly to: RootPath;
  /** Looks to give to it; `undefined` for one that was made with other looks. */
  readonly source: { readonly from: RootPath; readonly stat: NodeStat } | undefined;
  readonly above: Folder | undefined;
  /**
   * Names that were in it before the copy; `undefined` until the directory is made. Only these are looked up: one lookup
   * through all layers takes as long as the copy of a small file.
   */
  taken: ReadonlySet<string> | undefined;
}

/** Timers and signals get their turn so often; the filesystem calls of a copy do not wait for anything. */
const turnMs = 20;
/** Nodes for which the clock is looked at once. */
const stepsInTurn = 16;
/** What the writer takes at once is not more. */
const largestAtOnce = 1024 * 1024;
const nothing: ReadonlySet<string> = new Set();

/** Copies nodes of one source tree; hard links among them stay hard links. */
export class TreeCopier {
  readonly #target: CopyTarget;
  readonly #source: MergedTree;
  readonly #local: LocalTree | undefined;
  /** Bytes of a source path before what the exclude patterns are about. */
  readonly #prefix: number;
  readonly #excludes: Excludes;
  readonly #links = new Map<string, RootPath>();
  #turnEnds = monotonicMs() + turnMs;
  #steps = 0;
  #didBeginWithFile = false;

  /** `root`: the directory of `source` that exclude patterns are relative to. */
  constructor(target: CopyTarget, source: { readonly tree: MergedTree; readonly root: RootPath }) {
    this.#target = target;
    this.#source = source.tree;
    this.#local = source.tree.local;
    this.#prefix = source.root.length === 0 ? 0 : source.root.length + 1;
    this.#excludes = parseExcludes(target.exclude);
  }

  /** A directory of the destination that is there already, whoever made it. */
  async openFolder(to: RootPath, options: { readonly isNew: boolean }): Promise<Folder> {
    const taken = options.isNew ? nothing : await this.#namesIn(to);
    return { to, source: undefined, above: undefined, taken };
  }

  /** Copies everything in directory `from`. */
  async children(from: RootPath, folder: Folder): Promise<void> {
    await this.#local?.prepare();
    const names = this.#local?.listed(from) ?? (await this.#source.readdir(from));
    await this.#named(names, { from, folder });
  }

  /** The same of these. */
  async #named(
    names: Names,
    { from, folder }: { readonly from: RootPath; readonly folder: Folder },
  ): Promise<void> {
    const local = this.#local;
    const { count } = this.#target;
    // Behind a file that was copied at once, more are to be expected, and at first where the last directory began with one;
    // in many directories there is none.
    let [areFilesNext, areFilesPlain] = [this.#didBeginWithFile, true];
    let isBehindPlain = false;
    this.#didBeginWithFile = false;
    for (let next = 0; next < names.length; next++) {
      // The clock takes a microsecond to be read.
      if (++this.#steps >= stepsInTurn) {
        this.#steps = 0;
        if (monotonicMs() > this.#turnEnds) await this.#takeTurn();
      }
      if (areFilesNext && areFilesPlain) {
        const copied = await this.#copyPlain(names, { from, folder, start: next });
        if (copied !== undefined && copied > 0) {
          this.#didBeginWithFile ||= next === 0;
          next += copied - 1;
          isBehindPlain = true;
          continue;
        }
        // What ends many that are plain says nothing of those behind it.
        areFilesPlain = copied !== 0 || isBehindPlain;
        areFilesNext = isBehindPlain = false;
      }
      const name = names.at(next) ?? noName;
      const path = joinRootPath(from, name);
      const stat = this.#target.exclude.length > 0 ? undefined : local?.lstatListed(path);
      if (local === undefined || stat === undefined) {
        // What is gone before it is counted was never there.
        if (count === undefined) await this.child(path, folder);
        continue;
      }
      const room = count && this.#target.writer.room();
      if (room !== undefined) await room;
      const counted = count?.next(path, stat);
      areFilesNext = this.#copyAtOnce({ local, path, name, stat, counted }, folder);
      if (areFilesNext) {
        this.#didBeginWithFile ||= next === 0;
        continue;
      }
      if (counted?.isKnown === false) await counted.take();
      const made = this.#folderAtOnce({ local, path, name, stat, counted }, folder);
      if (made === undefined) {
        await this.#copy({ from: path, stat, isExcluded: false }, folder);
        continue;
      }
      const inside = local.listed(path);
      if (inside.length > 0) await this.#named(inside, { from: path, folder: made });
    }
  }

  /**
   * Copies the plain files that come next, and answers how many: the first that the writer does not take at once ends them,
   * with nothing done. undefined where nobody looked whether there are some.
   */
  async #copyPlain(
    names: Names,
    place: { readonly from: RootPath; readonly folder: Folder; readonly start: number },
  ): Promise<number | undefined> {
    const { count, exclude, owner, changeMode, sync, writer } = this.#target;
    const { from, folder, start } = place;
    const plain = this.#local?.plain;
    if (plain === undefined || exclude.length > 0 || folder.taken?.size !== 0) return undefined;
    if (count === undefined ? !writer.canReadLater : !writer.mayTakeLater) return undefined;
    count?.beforeLook();
    const files = plain.next(from, names, start);
    const room = writer.room();
    if (room !== undefined) await room;
    const { to } = folder;
    const modes = changeMode ? files.modes.map((mode) => changeMode(mode, false)) : files.modes;
    const { uid, gid } = owner ?? files;
    const open = (index: number): LocalFile => plain.open(files, index, from);
    const later = { files, to, modes, uid, gid, open };
    const copied = writer.takesLater(later);
    let bytes = 0;
    for (let index = 0; index < copied; index++) {
      const name = files.names[index] ?? noName;
      if (name[0] === dot) expectStorable(joinRootPath(to, name), plainType);
      bytes += files.sizes[index] ?? 0;
    }
    if (copied > 0) writer.laterFiles(later, copied, count?.nextFiles(files, copied, from));
    sync.wrote(bytes, copied);
    this.#steps += copied;
    return copied;
  }

  /** Makes a directory without waiting for anything; undefined, with nothing done, where that cannot be. */
  #folderAtOnce({ local, path, name, stat }: LocalNode, above: Folder): Folder | undefined {
    if (stat.type !== "directory" || !isNewIn(above, name)) return undefined;
    const to = joinRootPath(above.to, name);
    expectStorable(to, stat);
    const attributes = this.#looks(stat, local.xattrs(path));
    if (!this.#target.writer.newDirectory(to, attributes)) return undefined;
    this.#target.sync.wrote(0);
    return { to, source: { from: path, stat }, above, taken: nothing };
  }

  /**
   * Copies a file without waiting for anything; false, with nothing done, where that cannot be. Most nodes of most trees
   * are such files.
   */
  #copyAtOnce(source: LocalNode, folder: Folder): boolean {
    const { local, path, name, stat, counted } = source;
    if (stat.type !== "file" || stat.nlink > 1 || stat.size > largestAtOnce) return false;
    if (!isNewIn(folder, name)) return false;
    const to = joinRootPath(folder.to, name);
    expectStorable(to, stat);
    // Whoever has to read the file anyhow takes its digest as well.
    if (counted?.isKnown === false) return this.#copyLater({ local, path, to, stat, counted });
    if (this.#target.writer.canReadLater && this.#copyLater({ local, path, to, stat })) return true;
    const file = local.open(path, stat);
    try {
      const attributes = this.#looks(stat, file.xattrs());
      if (!this.#target.writer.smallFile(to, attributes, file)) return false;
      file.verify();
    } finally {
      file.close();
    }
    this.#target.sync.wrote(stat.size);
    return true;
  }

  /** Lets another thread read the file; false, with nothing done, where that cannot be. */
  #copyLater(source: {
    readonly local: LocalTree;
    readonly path: RootPath;
    readonly to: RootPath;
    readonly stat: NodeStat;
    readonly counted?: PassingNode;
  }): boolean {
    const { local, path, to, stat, counted } = source;
    const { size, statKey: version } = stat;
    if (version === undefined || local.placeOf(path, stat) !== version.path) return false;
    const xattrs = local.xattrs(path);
    if (xattrs.size > 0) return false;
    const open = (): LocalFile => openPlain(local, path, stat);
    const looks = this.#looks(stat, xattrs);
    const { writer, sync } = this.#target;
    const files = plainFile(version.path, looks, version);
    const parent = parentRootPath(to) ?? rootPath;
    const later = { ...looks, files, to: parent, modes: files.modes, open };
    const hasItsName = files.names[0]?.equals(baseName(to)) === true;
    if (!hasItsName || writer.takesLater(later) === 0) return false;
    writer.laterFiles(later, 1, counted && wanted(counted));
    sync.wrote(size);
    return true;
  }

  /** Copies one node into `folder`, with everything below it, unless it is excluded. */
  async child(from: RootPath, folder: Folder): Promise<void> {
    const isExcluded = this.#isExcluded(from);
    // Below an excluded directory, exceptions (`!pattern`) may still name something.
    if (isExcluded && this.#excludes.canSkipDirectory(from.subarray(this.#prefix))) return;
    const stat = await this.#source.lstat(from);
    // Somebody counted it.
    if (stat === undefined && !isExcluded) throw fileChanged(rootPathToString(from));
    if (stat !== undefined) await this.#copy({ from, stat, isExcluded }, folder);
  }

  async #copy(
    node: Pick<Node, "from" | "stat"> & { readonly isExcluded: boolean },
    folder: Folder,
  ): Promise<void> {
    const { from, stat, isExcluded } = node;
    if (stat.type === "directory") {
      const inner = this.below(folder, { from, stat });
      if (!isExcluded) await this.#makeFolder(inner, "replace");
      await this.children(from, inner);
    } else if (!isExcluded) {
      await this.#makeFolder(folder, "pass");
      const name = baseName(from);
      const to = joinRootPath(folder.to, name);
      if (folder.taken?.has(name.toString("latin1")) === true)
        expectNonDirectory(to, await this.#target.tree.lstat(to));
      await this.leaf({ from, to, stat });
    }
  }

  /** The folder that `source`, a directory, becomes in `folder`; made when the first thing goes into it. */
  below(folder: Folder, source: { readonly from: RootPath; readonly stat: NodeStat }): Folder {
    const to = joinRootPath(folder.to, baseName(source.from));
    return { to, source, above: folder, taken: undefined };
  }

  /** Copies anything but a directory to exactly `to`, whose directory is there. */
  async leaf(node: Node): Promise<void> {
    const { from, to, stat } = node;
    expectStorable(to, stat);
    const { writer } = this.#target;
    if (stat.nlink > 1) {
      const first = this.#links.get(stat.inode);
      if (first !== undefined) return writer.hardlink(to, first);
      this.#links.set(stat.inode, to);
    }
    const attributes = await this.#attributes(node);
    switch (stat.type) {
      case "symlink":
        return writer.symlink(to, attributes, await this.#source.readlink(from));
      case "char-device":
      case "block-device":
        return writer.device(to, attributes, {
          type: stat.type,
          major: stat.devMajor,
          minor: stat.devMinor,
        });
      case "fifo":
        return writer.fifo(to, attributes);
      // No layer holds one. (A socket of the context is an empty file there already.)
      case "socket":
        return;
      case "file": {
        const opened = await this.#source.openFile(from);
        try {
          await writer.file(to, attributes, opened);
          this.#target.sync.wrote(stat.size);
          return opened.verify?.();
        } finally {
          await opened.close();
        }
      }
      case "directory":
        throw new Error("a directory is no leaf");
    }
  }

  /**
   * Makes a folder and those above it. One that was there before takes all looks of its source when it is copied itself
   * ("replace"), but only the mode when it merely is on the way to something ("pass"), as the reference builder does.
   */
  async #makeFolder(folder: Folder, existingLooks: "replace" | "pass"): Promise<void> {
    const { to, source, above } = folder;
    if (folder.taken !== undefined || source === undefined || above === undefined) return;
    await this.#makeFolder(above, "pass");
    const { tree, writer } = this.#target;
    const isTaken = above.taken?.has(baseName(to).toString("latin1")) === true;
    const existing = isTaken ? await tree.lstat(to) : undefined;
    expectDirectory(to, existing);
    expectStorable(to, source.stat);
    const attributes = await this.#attributes({ ...source, to });
    if (existing === undefined) {
      await writer.directory(to, attributes);
      this.#target.sync.wrote(0);
      folder.taken = nothing;
      return;
    }
    folder.taken = await this.#namesIn(to);
    if (existingLooks === "pass") return writer.setAttributes(to, { mode: source.stat.mode });
    const both = new Map([...(await tree.xattrs(to)), ...(attributes.xattrs ?? [])]);
    // The ACL may be that of before, the mode is not.
    const xattrs = fitAcl(both, attributes.mode);
    await writer.directory(to, { ...attributes, xattrs });
  }

  async #namesIn(directory: RootPath): Promise<ReadonlySet<string>> {
    await this.#target.writer.settle();
    const names = await this.#target.tree.readdir(directory);
    return new Set(names.map((name) => name.toString("latin1")));
  }

  async #attributes({ from, stat }: Node): Promise<NodeAttributes> {
    return this.#looks(stat, await this.#source.xattrs(from));
  }

  #looks(stat: NodeStat, xattrs: ReadonlyMap<string, Buffer>): NodeAttributes {
    const { owner, changeMode } = this.#target;
    const { mode, uid, gid, mtime } = stat;
    const isChanged = changeMode !== undefined && stat.type !== "symlink";
    const given = isChanged ? changeMode(mode, stat.type === "directory") : mode;
    return {
      mode: given,
      uid: owner?.uid ?? uid,
      gid: owner?.gid ?? gid,
      mtime,
      xattrs: isChanged && xattrs.size > 0 ? fitAcl(xattrs, given) : xattrs,
    };
  }

  #isExcluded(from: RootPath): boolean {
    if (this.#target.exclude.length === 0 || from.length <= this.#prefix) return false;
    return this.#excludes.isExcluded(from.subarray(this.#prefix));
  }

  async #takeTurn(): Promise<void> {
    await setImmediate();
    this.#target.signal.throwIfAborted();
    this.#turnEnds = monotonicMs() + turnMs;
  }
}

const plainType = { type: "file" };
const noName = Buffer.alloc(0);
const dot = 0x2e;

/** Asks for the digest of one file. */
function wanted(counted: PassingNode): WantedDigests {
  return {
    head: () => counted.head,
    learn: (_index, digest) => {
      counted.learn(digest);
    },
  };
}

/** Whether the folder is made, and has nothing of that name. */
function isNewIn({ taken }: Folder, name: Buffer): boolean {
  return taken !== undefined && (taken.size === 0 || !taken.has(name.toString("latin1")));
}

/** Opens a file that was seen to have no attributes. */
function openPlain(local: LocalTree, path: RootPath, stat: NodeStat): LocalFile {
  const file = local.open(path, stat);
  try {
    if (file.xattrs().size > 0) throw fileChanged(rootPathToString(path));
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}
