import { createReadStream, readlinkSync, readSync } from "node:fs";
import {
  joinRootPath,
  type LayerEntryWithContent,
  type MergedTree,
  type NodeStat,
  rootPath,
  type RootPath,
  whiteoutName,
} from "../layer/index.ts";
import { locate } from "./disk.ts";
import { entryOf, hardlinkEntry, markEntry } from "./file-entry.ts";
import { type LayerPlace, sameXattrs } from "./overlay-diff.ts";

/**
 * The entries that turn tree `lower` into the complete tree in `directory`, in the order of `overlayEntries`. Files of
 * equal size and time are compared byte by byte: a process can set any time it likes.
 */
export async function* comparedEntries(
  place: LayerPlace & { readonly upper: MergedTree },
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const comparison = new Comparison(place);
  yield* comparison.node(rootPath);
}

class Comparison {
  readonly #place: LayerPlace & { readonly upper: MergedTree };
  /** First name of each file with several, and whether it has an entry of its own. */
  readonly #links = new Map<string, { readonly entry: LayerEntryWithContent; isTold: boolean }>();

  constructor(place: LayerPlace & { readonly upper: MergedTree }) {
    this.#place = place;
  }

  async *node(path: RootPath): AsyncGenerator<LayerEntryWithContent, void, undefined> {
    const { disk, upper } = this.#place;
    const stat = await upper.lstat(path);
    if (stat === undefined) return;
    const absolute = locate(disk.directory, path);
    const linkTarget =
      stat.type === "symlink" ? { linkTarget: readlinkSync(absolute, { encoding: "buffer" }) } : {};
    const entry = entryOf(disk, { path, absolute, stat, ...linkTarget });
    if (entry === undefined) return;
    const isChanged = await this.#isChanged(path, stat);
    const first = this.#links.get(stat.inode);
    if (first !== undefined) {
      // Also an unchanged name is told again when its partner was, or the two would come apart.
      if (isChanged || first.isTold) yield hardlinkEntry(entry, { path, target: first.entry.path });
      return;
    }
    if (stat.nlink > 1 && stat.type !== "directory")
      this.#links.set(stat.inode, { entry, isTold: isChanged });
    if (isChanged) yield entry;
    if (stat.type === "directory") yield* this.#children(path);
  }

  async *#children(path: RootPath): AsyncGenerator<LayerEntryWithContent, void, undefined> {
    const { lower, upper } = this.#place;
    const names = await upper.readdir(path);
    if ((await lower.lstat(path))?.type === "directory") {
      const present = new Set(names.map((name) => name.toString("latin1")));
      for (const name of await lower.readdir(path)) {
        if (!present.has(name.toString("latin1")))
          yield markEntry(whiteoutName(joinRootPath(path, name)));
      }
    }
    for (const name of names) yield* this.node(joinRootPath(path, name));
  }

  async #isChanged(path: RootPath, now: NodeStat): Promise<boolean> {
    const { lower, upper } = this.#place;
    const before = await lower.lstat(path);
    if (before === undefined || before.type !== now.type) return true;
    const numbers = ["mode", "uid", "gid", "size", "mtime", "devMajor", "devMinor"] as const;
    if (numbers.some((field) => before[field] !== now[field])) return true;
    if (!sameXattrs(await lower.xattrs(path), await upper.xattrs(path))) return true;
    if (now.type === "symlink")
      return !(await lower.readlink(path)).equals(await upper.readlink(path));
    return now.type === "file" && !(await this.#sameContent(path));
  }

  async #sameContent(path: RootPath): Promise<boolean> {
    const [a, b] = [await this.#place.lower.openFile(path), await this.#place.upper.openFile(path)];
    try {
      let position = 0;
      const stream = createReadStream("", {
        fd: a.fd,
        autoClose: false,
        start: 0,
        highWaterMark: 1 << 20,
      });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        const other = Buffer.allocUnsafe(chunk.length);
        const length = readSync(b.fd, other, 0, other.length, position);
        if (length !== chunk.length || !other.equals(chunk)) return false;
        position += length;
      }
      return true;
    } finally {
      await Promise.all([a.close(), b.close()]);
    }
  }
}
