import { createReadStream } from "node:fs";
import {
  baseName,
  joinRootPath,
  openIfTar,
  parentRootPath,
  resolvePath,
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
 * @throws LAYER_PATH_ESCAPES and what else a broken archive is refused with
 */
export async function unpackArchive(
  target: CopyTarget,
  source: { readonly tree: MergedTree; readonly path: RootPath },
): Promise<boolean> {
  const path = await resolvePath(source.tree, source.path, { followLast: true });
  if ((await source.tree.lstat(path))?.type !== "file") return false;
  const opened = await source.tree.openFile(path);
  try {
    const input = createReadStream("", { fd: opened.fd, autoClose: false, start: 0 });
    const entries = await openIfTar(input);
    if (entries === undefined) return false;
    const attributes = { ...target.created, mode: 0o755 };
    const base = await makeTargetDirectories(target, { path: target.destination, attributes });
    const unpacker = new Unpacker(target, base);
    for await (const entry of entries) {
      target.signal.throwIfAborted();
      if (entry.path.length > 0) await unpacker.add(entry);
    }
    return true;
  } finally {
    await opened.close();
  }
}

class Unpacker {
  readonly #target: CopyTarget;
  readonly #base: RootPath;
  /** The image below the destination. */
  readonly #inside: Pick<MergedTree, "lstat" | "readlink">;
  /** Where directories of the archive really lie. */
  readonly #directories = new Map<string, RootPath>();

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
    const path = joinRootPath(await this.#makeParent(entry.path), baseName(entry.path));
    expectStorable(path, entry);
    const existing = await tree.lstat(path);
    // A directory or a link that goes away may have been on the way to those that are known.
    const isMerged = existing?.type === "directory" && entry.type === "directory";
    if (existing !== undefined && !isMerged) this.#directories.clear();
    const attributes: NodeAttributes = { ...entry, ...owner };
    switch (entry.type) {
      case "directory":
        return writer.directory(path, attributes);
      case "file":
        return writer.file(path, attributes, entry.read?.() ?? entry.open?.() ?? Buffer.alloc(0));
      case "symlink":
        return writer.symlink(path, attributes, entry.linkTarget ?? Buffer.alloc(0));
      case "hardlink":
        return writer.hardlink(path, await this.#locate(entry.linkTarget ?? Buffer.alloc(0)));
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

  /** The directory that the archive's `path` goes into; made, owned by root, when no entry told of it before. */
  async #makeParent(path: RootPath): Promise<RootPath> {
    const parent = parentRootPath(path);
    if (parent === undefined || parent.length === 0) return this.#base;
    const key = parent.toString("latin1");
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    const real = await this.#resolve(parent, { followLast: true });
    const { mtime } = this.#target.created;
    const attributes = { mode: 0o755, uid: 0, gid: 0, mtime };
    await makeTargetDirectories(this.#target, { path: real, attributes });
    this.#directories.set(key, real);
    return real;
  }

  async #resolve(path: RootPath, options: { readonly followLast: boolean }): Promise<RootPath> {
    return joinRootPath(this.#base, await resolvePath(this.#inside, path, options));
  }

  async #locate(path: RootPath): Promise<RootPath> {
    return this.#resolve(path, { followLast: false });
  }
}
