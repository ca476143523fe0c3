import {
  baseName,
  joinRootPath,
  openContent,
  openIfTar,
  parentRootPath,
  resolvePath,
  rootPath,
  tellEntry,
  type LayerEntryWithContent,
  type MergedTree,
  type RootPath,
} from "../layer/index.ts";
import type { NodeAttributes } from "../snapshot/index.ts";
import { expectStorable, makeTargetDirectories, type CopyTarget } from "./copy-target.ts";

/**
 * ADD of a local file that is a tar, plain or compressed: unpacks it into the destination, which is a directory then.
 * Entries keep mode, owner and time of the archive; `--chown` goes over all of them, `--chmod` over none. What they
 * find in their place is replaced, but directories are merged. False when the file is something else.
 *
 * To the archive the destination is the root: no name and no link, be it in the archive or in the image, leads out.
 *
 * @throws BUILD_COPY_CONFLICT when the destination, or a directory on the way to an entry, is something else
 * @throws CONTEXT_FILE_CHANGED when somebody writes to the archive meanwhile
 * @throws LAYER_PATH_ESCAPES and what else a broken archive is refused with
 */
export async function unpackArchive(
  target: CopyTarget,
  source: { readonly tree: MergedTree; readonly path: RootPath },
): Promise<boolean> {
  const path = await resolvePath(source.tree, source.path, { followLast: true });
  if ((await source.tree.lstat(path))?.type !== "file") return false;
  const opened = await source.tree.openFile(path);
  const content = openContent(opened);
  try {
    const entries = await openIfTar(content.stream);
    if (entries === undefined) return false;
    const attributes = { ...target.created, mode: 0o755 };
    const base = await makeTargetDirectories(target, { path: target.destination, attributes });
    const unpacker = new Unpacker(target, base);
    for await (const entry of entries) {
      target.signal.throwIfAborted();
      if (entry.path.length === 0) continue;
      try {
        await unpacker.add(entry);
      } catch (error) {
        throw tellEntry(error, entry.path);
      }
    }
    opened.verify?.();
    return true;
  } catch (error) {
    // An archive that was exchanged is told as that, however it failed.
    opened.verify?.();
    throw error;
  } finally {
    await content.close();
  }
}

/** A directory that entries go into. */
interface Folder {
  readonly path: RootPath;
  /** Names that are in it. Only these are looked up: a lookup through all layers costs more than a small file. */
  readonly taken: Set<string>;
}

class Unpacker {
  readonly #target: CopyTarget;
  readonly #base: RootPath;
  /** The image below the destination. */
  readonly #inside: Pick<MergedTree, "lstat" | "readlink">;
  /** By the archive's own path; forgotten when a link or a directory, which may be on the way, becomes something else. */
  readonly #folders = new Map<string, Folder>();
  /** By where they really lie: links may give one of them several names. */
  readonly #realFolders = new Map<string, Folder>();

  constructor(target: CopyTarget, base: RootPath) {
    this.#target = target;
    this.#base = base;
    this.#inside = {
      lstat: async (path) => target.tree.lstat(joinRootPath(base, path)),
      readlink: async (path) => target.tree.readlink(joinRootPath(base, path)),
    };
  }

  async add(entry: LayerEntryWithContent): Promise<void> {
    const { tree, writer, owner } = this.#target;
    const path = await this.#makePlace(entry);
    expectStorable(path, entry);
    const attributes: NodeAttributes = { ...entry, ...owner };
    switch (entry.type) {
      case "directory":
        return writer.directory(path, attributes);
      case "file":
        return writer.file(path, attributes, entry.read?.() ?? entry.open?.() ?? Buffer.alloc(0));
      case "symlink":
        return writer.symlink(path, attributes, entry.linkTarget ?? Buffer.alloc(0));
      case "hardlink": {
        await writer.hardlink(path, await this.#locate(entry.linkTarget ?? Buffer.alloc(0)));
        // The last entry that names a file says how it looks, a link too. Few archives tell attributes a second time,
        // and with a new owner the kernel takes the capability away.
        const { mode, uid, gid, mtime } = attributes;
        const xattrs = new Map([...(await tree.xattrs(path)), ...(entry.xattrs ?? [])]);
        return writer.setAttributes(path, { mode, uid, gid, mtime, xattrs });
      }
      case "char-device":
      case "block-device":
        return writer.device(path, attributes, {
          type: entry.type,
          major: entry.devMajor ?? 0,
          minor: entry.devMinor ?? 0,
        });
      case "fifo":
        return writer.fifo(path, attributes);
    }
  }

  /** Where the entry goes; what it replaces there is no longer known. */
  async #makePlace(entry: LayerEntryWithContent): Promise<RootPath> {
    const folder = await this.#openFolder(parentRootPath(entry.path) ?? rootPath);
    const name = baseName(entry.path);
    const path = joinRootPath(folder.path, name);
    const key = keyOf(name);
    if (!folder.taken.has(key)) {
      folder.taken.add(key);
      return path;
    }
    const type = (await this.#target.tree.lstat(path))?.type;
    const isReplaced = type === "directory" && entry.type !== "directory";
    if (isReplaced) this.#realFolders.clear();
    if (isReplaced || type === "symlink") this.#folders.clear();
    return path;
  }

  /** A directory of the archive; made, owned by root, when no entry told of it before. */
  async #openFolder(archivePath: RootPath): Promise<Folder> {
    const known = this.#folders.get(keyOf(archivePath));
    if (known !== undefined) return known;
    const path = await this.#resolve(archivePath, { followLast: true });
    const { mtime } = this.#target.created;
    const attributes = { mode: 0o755, uid: 0, gid: 0, mtime };
    await makeTargetDirectories(this.#target, { path, attributes });
    for (let at = path; at.length > this.#base.length; at = parentRootPath(at) ?? rootPath)
      this.#realFolders.get(keyOf(parentRootPath(at) ?? rootPath))?.taken.add(keyOf(baseName(at)));
    const folder = this.#realFolders.get(keyOf(path)) ?? {
      path,
      taken: new Set((await this.#target.tree.readdir(path)).map(keyOf)),
    };
    this.#folders.set(keyOf(archivePath), folder);
    this.#realFolders.set(keyOf(path), folder);
    return folder;
  }

  async #resolve(path: RootPath, options: { readonly followLast: boolean }): Promise<RootPath> {
    return joinRootPath(this.#base, await resolvePath(this.#inside, path, options));
  }

  async #locate(path: RootPath): Promise<RootPath> {
    return this.#resolve(path, { followLast: false });
  }
}

/** Latin-1 gives each byte string a string of its own. */
function keyOf(path: Buffer): string {
  return path.toString("latin1");
}
