import {
  baseName,
  joinRootPath,
  type LayerEntryWithContent,
  type MergedTree,
  parentRootPath,
  parseTarName,
  resolvePath,
  type RootPath,
  tellEntry,
} from "../layer/index.ts";
import { type LayerDirectory, locate } from "./disk.ts";
import type { TreeWriter } from "./types.ts";

/**
 * Writes one layer's entries on the state that `tree` shows, which is the state `writer` changes. Every name is looked up
 * through the merged view: below a symlink of a lower layer the entries go where it leads.
 * With `sharedFrom`, the directory of a committed snapshot that the entries come from, its files are shared where possible.
 *
 * @returns bytes of content
 * @throws what the writer throws, LAYER_PATH_INVALID, LAYER_SYMLINK_LOOP; with the entry in `details.entry`
 */
export async function applyLayer(
  place: Place,
  entries: AsyncIterable<LayerEntryWithContent> | Iterable<LayerEntryWithContent>,
): Promise<number> {
  const application = new Application(place);
  try {
    for await (const entry of entries) {
      try {
        await application.apply(entry);
      } catch (error) {
        throw tellEntry(error, entry.path);
      }
    }
    await place.writer.finish();
  } catch (error) {
    // A file that another thread was to make before may have failed as well: then that is what is wrong.
    await place.writer.settle();
    throw error;
  }
  return application.contentSize;
}

interface Place {
  readonly tree: MergedTree;
  readonly writer: TreeWriter;
  readonly sharedFrom?: LayerDirectory;
}

class Application {
  readonly #tree: MergedTree;
  readonly #writer: TreeWriter;
  readonly #sharedFrom: LayerDirectory | undefined;
  /** Where the directories that entries name really lie; thousands of entries share few. */
  readonly #directories = new Map<string, RootPath>();
  /** What was found at the nodes that `#directories` rests on: when that changes, everything is looked up again. */
  readonly #consulted = new Map<string, "symlink" | "other">();
  contentSize = 0;

  constructor(place: Place) {
    this.#tree = place.tree;
    this.#writer = place.writer;
    this.#sharedFrom = place.sharedFrom;
  }

  async apply(entry: LayerEntryWithContent): Promise<void> {
    const name = parseTarName(entry.path);
    if (name.type === "ignored") return;
    // An opaque mark lies in the directory that it is about, so that links on the way to the mark lead to that.
    const place = await this.#locate(name.type === "opaque" ? entry.path : name.path);
    const path = name.type === "opaque" ? (parentRootPath(place) ?? place) : place;
    const isDirectory = name.type === "entry" && entry.type === "directory";
    if (name.type === "opaque" || this.#changesLookups(path, isDirectory)) this.#forget();
    switch (name.type) {
      case "whiteout":
        return this.#writer.hideLower(path);
      case "opaque":
        return this.#writer.hideLowerChildren(path);
      case "entry":
        return this.#write(path, entry);
    }
  }

  async #write(path: RootPath, entry: LayerEntryWithContent): Promise<void> {
    const writer = this.#writer;
    if (entry.type === "file") this.contentSize += entry.size;
    const source = this.#sharedFrom;
    if (source !== undefined && (await this.#share(path, { entry, source }))) return;
    switch (entry.type) {
      case "directory":
        await writer.directory(path, entry);
        return this.#remember(entry.path, path);
      case "file": {
        const content = entry.read?.() ?? entry.open?.() ?? Buffer.alloc(0);
        const isDone = Buffer.isBuffer(content) && writer.smallFile(path, entry, content);
        return isDone ? undefined : writer.file(path, entry, content);
      }
      case "symlink":
        return writer.symlink(path, entry, entry.linkTarget ?? Buffer.alloc(0));
      case "hardlink":
        return writer.hardlink(path, await this.#locate(entry.linkTarget ?? Buffer.alloc(0)));
      case "char-device":
      case "block-device": {
        const { type, devMajor: major = 0, devMinor: minor = 0 } = entry;
        // To overlayfs it would be a whiteout anyway.
        if (type === "char-device" && major === 0 && minor === 0) return writer.remove(path);
        return writer.device(path, entry, { type, major, minor });
      }
      case "fifo":
        return writer.fifo(path, entry);
    }
  }

  /** A hard link is one to a node that was shared before. */
  async #share(
    path: RootPath,
    from: { readonly entry: LayerEntryWithContent; readonly source: LayerDirectory },
  ): Promise<boolean> {
    const { entry, source } = from;
    const { type, devMajor: major = 0, devMinor: minor = 0 } = entry;
    if (type === "directory" || type === "hardlink") return false;
    const isDevice = type === "char-device" || type === "block-device";
    return this.#writer.share(path, {
      absolute: locate(source, entry.path),
      attributes: entry,
      device: isDevice ? { type, major, minor } : undefined,
    });
  }

  /** Symlinks on the way are followed, one in the last component is meant itself. */
  async #locate(path: RootPath): Promise<RootPath> {
    const parent = parentRootPath(path);
    if (parent === undefined) return path;
    return joinRootPath(await this.#locateDirectory(parent), baseName(path));
  }

  /**
   * Where entries below `path` go. One look for each directory that no entry announced, since where its parent lies is
   * known by then; a walk from the root only behind a symlink.
   */
  async #locateDirectory(path: RootPath): Promise<RootPath> {
    if (path.length === 0) return path;
    const known = this.#directories.get(key(path));
    if (known !== undefined) return known;
    const literal = await this.#locate(path);
    const isLink = (await this.#consultedTree.lstat(literal))?.type === "symlink";
    const real = isLink
      ? await resolvePath(this.#consultedTree, literal, { followLast: true })
      : literal;
    this.#remember(path, real);
    return real;
  }

  #remember(path: RootPath, real: RootPath): void {
    this.#directories.set(key(path), real);
    // Directories that the writer implies were never looked at, but can be replaced all the same.
    for (let at: RootPath | undefined = real; at !== undefined && at.length > 0;) {
      if (this.#consulted.has(key(at))) return;
      this.#consulted.set(key(at), "other");
      at = parentRootPath(at);
    }
  }

  /** A directory on anything but a symlink leaves every path where it is. */
  #changesLookups(path: RootPath, isDirectory: boolean): boolean {
    const found = this.#consulted.get(key(path));
    return found !== undefined && (!isDirectory || found === "symlink");
  }

  readonly #consultedTree: Pick<MergedTree, "lstat" | "readlink"> = {
    lstat: async (path) => {
      // It may be a file that another thread has yet to make.
      await this.#writer.settle(path);
      const found = await this.#tree.lstat(path);
      this.#consulted.set(key(path), found?.type === "symlink" ? "symlink" : "other");
      return found;
    },
    readlink: async (path) => this.#tree.readlink(path),
  };

  #forget(): void {
    this.#directories.clear();
    this.#consulted.clear();
  }
}

/** Latin-1 gives each byte string a string of its own. */
function key(path: RootPath): string {
  return path.toString("latin1");
}
