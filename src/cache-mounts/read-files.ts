import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  type BigIntStats,
} from "node:fs";
import { errnoOf, type Syscalls } from "../core/index.ts";
import type { LayerEntry, RootPath } from "../layer/index.ts";
import { dayOf, unlessGone, type CacheNode } from "./list-tree.ts";

/** A node as an entry of the catalogue, and the bytes of a file, piece by piece; each piece is read over the one before. */
export interface ReadNode {
  readonly entry: LayerEntry;
  readonly content?: () => Generator<Buffer, void, undefined>;
}

/**
 * No attribute of Linux is called so: those have a dot and a namespace that the kernel knows. It says on which day a
 * file was used, where that is later than the day of its last change.
 */
export const usedOnAttribute = "tsbuild-used-on";

const pieceSize = 1024 * 1024;

/** Reads what was listed, in the same order. What is gone meanwhile is left out. */
export class CacheReader {
  readonly #kernel: Syscalls;
  readonly #piece = Buffer.allocUnsafeSlow(pieceSize);
  readonly #links = new Map<string, RootPath>();

  constructor(kernel: Syscalls) {
    this.#kernel = kernel;
  }

  /** Calls `use` with each node while it is open. */
  async read(nodes: Iterable<CacheNode>, use: (node: ReadNode) => Promise<void>): Promise<void> {
    for (const node of nodes) {
      if (node.stat.isFile()) await this.#readFile(node, use);
      else await this.#readOther(node, use);
    }
  }

  async #readFile(node: CacheNode, use: (node: ReadNode) => Promise<void>): Promise<void> {
    const fd = openQuietly(node.absolute);
    if (fd === undefined) return;
    try {
      const stat = fstatSync(fd, { bigint: true });
      if (!stat.isFile()) return;
      const attributes = entryOf(node.path, stat, "file");
      const identity = `${String(stat.dev)}:${String(stat.ino)}`;
      const first = stat.nlink > 1n ? this.#links.get(identity) : undefined;
      if (first !== undefined) {
        await use({ entry: { ...attributes, type: "hardlink", size: 0, linkTarget: first } });
        return;
      }
      this.#links.set(identity, node.path);
      const xattrs = this.#xattrsOf(fd);
      // Listed, because this reading may have been noted as one.
      if (dayOf(node.stat.atimeNs) > dayOf(stat.mtimeNs)) {
        xattrs.set(usedOnAttribute, Buffer.from(String(dayOf(node.stat.atimeNs))));
      }
      const entry = { ...attributes, ...(xattrs.size === 0 ? {} : { xattrs }) };
      await use({ entry, content: () => this.#pieces(fd, entry.size) });
    } finally {
      closeSync(fd);
    }
  }

  async #readOther(node: CacheNode, use: (node: ReadNode) => Promise<void>): Promise<void> {
    const { path, absolute, stat } = node;
    const xattrs = unlessGone(() => this.#xattrsOf(absolute));
    if (xattrs === undefined) return;
    const seen = xattrs.size === 0 ? {} : { xattrs };
    if (stat.isDirectory()) return use({ entry: { ...entryOf(path, stat, "directory"), ...seen } });
    if (stat.isFIFO()) return use({ entry: { ...entryOf(path, stat, "fifo"), ...seen } });
    const linkTarget = unlessGone(() => readlinkSync(absolute, { encoding: "buffer" }));
    if (linkTarget === undefined) return;
    await use({ entry: { ...entryOf(path, stat, "symlink"), ...seen, linkTarget } });
  }

  *#pieces(fd: number, size: number): Generator<Buffer, void, undefined> {
    for (let at = 0; at < size;) {
      const read = readSync(fd, this.#piece, 0, Math.min(pieceSize, size - at), at);
      if (read === 0) throw new ShrunkenFile();
      at += read;
      yield this.#piece.subarray(0, read);
    }
  }

  #xattrsOf(place: number | Buffer): Map<string, Buffer> {
    const kernel = this.#kernel;
    const isOpen = typeof place === "number";
    const found = new Map<string, Buffer>();
    for (const name of isOpen ? kernel.flistxattr(place) : kernel.llistxattr(place)) {
      const value = isOpen ? kernel.fgetxattr(place, name) : kernel.lgetxattr(place, name);
      if (value !== undefined) found.set(name, value);
    }
    return found;
  }
}

/** A file became shorter than it was when it was opened. */
export class ShrunkenFile extends Error {}

function entryOf(path: RootPath, stat: BigIntStats, type: LayerEntry["type"]): LayerEntry {
  return {
    path,
    type,
    mode: type === "symlink" ? 0o777 : Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: stat.mtimeNs,
    size: type === "file" ? Number(stat.size) : 0,
  };
}

/** Without a note that the file was read, where that is allowed: age is what decides about it later. */
function openQuietly(path: Buffer): number | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOATIME } = constants;
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  return unlessGone(() => {
    try {
      return openSync(path, flags | O_NOATIME);
    } catch (error) {
      if (errnoOf(error) !== "EPERM") throw error;
      return openSync(path, flags);
    }
  });
}
