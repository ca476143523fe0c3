import { parseExcludes, type Excludes } from "../context/index.ts";
import {
  baseName,
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPathToString,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../layer/index.ts";
import { makeDirectories, type DirectoryAttributes, type TreeWriter } from "../snapshot/index.ts";
import type { ModeChange } from "./chmod.ts";
import { buildError } from "./errors.ts";

/** Where copies go and how they are to look; shared by all sources of one COPY or ADD. */
export interface CopyTarget {
  readonly tree: MergedTree;
  readonly writer: TreeWriter;
  /** As the instruction says, expanded and absolute; a trailing slash means a directory. */
  readonly destination: string;
  /** `--chown`; otherwise each source keeps the owner that its tree tells. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly changeMode: ModeChange | undefined;
  /** For directories that have to be created on the way. */
  readonly created: DirectoryAttributes;
  readonly exclude: readonly string[];
  readonly signal: AbortSignal;
}

/** Whether the destination is meant as a directory that sources are put into. */
export async function isDirectoryDestination(target: CopyTarget): Promise<boolean> {
  if (/(?:^|\/)\.?$/.test(target.destination)) return true;
  const path = await resolvePath(target.tree, target.destination, { followLast: true });
  return (await target.tree.lstat(path))?.type === "directory";
}

/**
 * Where a file source of the given name goes: into the destination when that is a directory, else it is the
 * destination. Creates the directories on the way.
 */
export async function placeFile(target: CopyTarget, name: Buffer): Promise<RootPath> {
  const { tree, writer, created } = target;
  const path = Buffer.from(target.destination);
  if (await isDirectoryDestination(target)) {
    const directory = await makeDirectories({ tree, writer, path, attributes: created });
    return joinRootPath(directory, name);
  }
  const resolved = await resolvePath(tree, path, { followLast: true });
  const parent = parentRootPath(resolved) ?? Buffer.alloc(0);
  await makeDirectories({ tree, writer, path: parent, attributes: created });
  return resolved;
}

/**
 * Copies one selected source: a file to its place, a directory's content (never the directory itself) into the
 * destination.
 */
export async function copySource(
  target: CopyTarget,
  source: { readonly tree: MergedTree; readonly path: RootPath },
): Promise<void> {
  // The link's own name counts for the destination, what it leads to is copied.
  const real = await resolvePath(source.tree, source.path, { followLast: true });
  const stat = await source.tree.lstat(real);
  if (stat === undefined) return;
  const copier = new TreeCopier(target, source.tree);
  if (stat.type !== "directory") {
    const place = await placeFile(target, baseName(source.path));
    await copier.node({ from: real, to: place, stat });
    return;
  }
  const { tree, writer, created } = target;
  const path = await resolvePath(tree, target.destination, { followLast: true });
  const existing = await tree.lstat(path);
  if (existing !== undefined && existing.type !== "directory") {
    throw conflict(`cannot copy to non-directory: /${rootPathToString(path)}`);
  }
  await makeDirectories({ tree, writer, path, attributes: created });
  await copier.children({ from: real, to: path, root: real });
  if (existing !== undefined && path.length > 0) {
    await writer.setAttributes(path, { ...ownAttributes(existing), mtime: stat.mtime });
  }
}

/** `--parents`: the source keeps its path below the destination; directories on that path keep their own looks. */
export async function copyWithParents(
  target: CopyTarget,
  source: { readonly tree: MergedTree; readonly path: RootPath; readonly pivot: RootPath },
): Promise<void> {
  const { tree, writer, created } = target;
  const copier = new TreeCopier(target, source.tree);
  const destination = Buffer.from(target.destination);
  const base = await makeDirectories({ tree, writer, path: destination, attributes: created });
  const relative = source.path.subarray(source.pivot.length === 0 ? 0 : source.pivot.length + 1);
  let end = 0;
  while (end < relative.length) {
    const slash = relative.indexOf("/", end);
    end = slash === -1 ? relative.length : slash;
    const from = joinRootPath(source.pivot, relative.subarray(0, end));
    const stat = await source.tree.lstat(from);
    const to = joinRootPath(base, relative.subarray(0, end));
    if (stat !== undefined) await copier.node({ from, to, stat, deep: end === relative.length });
    end++;
  }
}

/** Copies nodes of one source tree; hard links among them stay hard links. */
class TreeCopier {
  readonly #target: CopyTarget;
  readonly #source: MergedTree;
  readonly #links = new Map<string, RootPath>();
  readonly #excludes: Excludes;

  constructor(target: CopyTarget, source: MergedTree) {
    this.#target = target;
    this.#source = source;
    this.#excludes = parseExcludes(target.exclude);
  }

  async children(place: {
    readonly from: RootPath;
    readonly to: RootPath;
    readonly root: RootPath;
  }): Promise<void> {
    for (const name of await this.#source.readdir(place.from)) {
      const from = joinRootPath(place.from, name);
      const relative = place.root.length === 0 ? from : from.subarray(place.root.length + 1);
      const stat = await this.#source.lstat(from);
      if (stat === undefined) continue;
      const to = joinRootPath(place.to, name);
      if (!this.#excludes.isExcluded(relative))
        await this.node({ from, to, stat, root: place.root });
      // Below an excluded directory, exceptions (`!pattern`) may still name something.
      else if (stat.type === "directory" && !this.#excludes.canSkipDirectory(relative)) {
        await this.children({ from, to, root: place.root });
      }
    }
  }

  /** Copies one node, with everything below it unless `deep` is false. */
  async node(place: {
    readonly from: RootPath;
    readonly to: RootPath;
    readonly stat: NodeStat;
    readonly root?: RootPath;
    readonly deep?: boolean;
  }): Promise<void> {
    this.#target.signal.throwIfAborted();
    const { from, to, stat } = place;
    const { tree, writer } = this.#target;
    const attributes = { ...this.#attributes(stat), xattrs: await this.#source.xattrs(from) };
    const existing = await tree.lstat(to);
    if (stat.type === "directory") {
      if (existing !== undefined && existing.type !== "directory") {
        throw conflict(`cannot copy to non-directory: /${rootPathToString(to)}`);
      }
      await writer.directory(to, attributes);
      if (place.deep !== false) await this.children({ from, to, root: place.root ?? from });
      return;
    }
    if (existing?.type === "directory") {
      throw conflict(`cannot replace to directory /${rootPathToString(to)} with file`);
    }
    await this.#ensureParent(to);
    if (stat.nlink > 1) {
      const first = this.#links.get(stat.inode);
      if (first !== undefined) return writer.hardlink(to, first);
      this.#links.set(stat.inode, to);
    }
    await this.#leaf({ from, to, stat }, attributes);
  }

  /** Needed only where an excluded directory holds something that is not excluded. */
  async #ensureParent(path: RootPath): Promise<void> {
    const { tree, writer, created } = this.#target;
    const parent = parentRootPath(path);
    if (parent === undefined || (await tree.lstat(parent)) !== undefined) return;
    await makeDirectories({ tree, writer, path: parent, attributes: created });
  }

  async #leaf(
    place: { readonly from: RootPath; readonly to: RootPath; readonly stat: NodeStat },
    attributes: DirectoryAttributes & { readonly xattrs: ReadonlyMap<string, Buffer> },
  ): Promise<void> {
    const { from, to, stat } = place;
    const { writer } = this.#target;
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
      case "socket":
        return writer.file(to, attributes, Buffer.alloc(0));
      case "file": {
        const opened = await this.#source.openFile(from);
        try {
          await writer.file(to, attributes, opened);
        } finally {
          await opened.close();
        }
        return;
      }
      case "directory":
        return;
    }
  }

  #attributes(stat: NodeStat): DirectoryAttributes {
    const { owner, changeMode } = this.#target;
    const own = ownAttributes(stat);
    const mode =
      stat.type === "symlink" || changeMode === undefined
        ? own.mode
        : changeMode(own.mode, stat.type === "directory");
    return { ...own, ...owner, mode };
  }
}

function ownAttributes(stat: NodeStat): DirectoryAttributes {
  const { mode, uid, gid, mtime } = stat;
  return { mode, uid, gid, mtime };
}

function conflict(message: string): Error {
  return buildError("BUILD_COPY_CONFLICT", message, {
    hint: "remove what is in the way in an earlier step, or choose another destination",
  });
}
