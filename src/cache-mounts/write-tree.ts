import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { syscallErrno, errnoOf, type Syscalls } from "../core/index.ts";
import {
  parentRootPath,
  rootPathToString,
  type ByteSource,
  type LayerEntry,
  type RootPath,
} from "../layer/index.ts";
import { invalidMounts } from "./errors.ts";
import { usedOnAttribute } from "./read-files.ts";

/** What this process was not allowed to arrange: how many nodes lack it. */
export interface LostLooks {
  readonly owners: number;
  readonly attributes: number;
}

/**
 * Makes the nodes of a catalogue, whoever wrote that, in a directory that is there and empty, and seen by nobody else. `contents`
 * are those of the files, one behind the other. A node lies in a directory that was made here before, and no name is made
 * twice: so nothing is ever written through a link, wherever that leads. Hard links are to files that were made here.
 * @throws CACHE_MOUNTS_INVALID for everything else, and for devices
 */
export async function writeTree(
  place: { readonly kernel: Syscalls; readonly directory: string },
  catalogue: { readonly entries: AsyncIterable<LayerEntry>; readonly contents: ByteSource },
): Promise<LostLooks> {
  const { entries, contents } = catalogue;
  const writer = new TreeWriting(place);
  for await (const entry of entries) await writer.write(entry, contents);
  if ((await contents.takeSome(1)) !== undefined) {
    throw invalidMounts("there are contents that belong to no file");
  }
  return writer.finish();
}

const nanosecondsOfDay = 86_400_000_000_000n;

/** A tree on its way to the disk: parents first, and `finish` at the end. */
export class TreeWriting {
  readonly #lost = { owners: 0, attributes: 0 };
  readonly #kernel: Syscalls;
  readonly #top: Buffer;
  /** By path, one character a byte. */
  readonly #made = new Map<string, "directory" | "file" | "other">();
  readonly #directories: LayerEntry[] = [];

  constructor({ kernel, directory }: { readonly kernel: Syscalls; readonly directory: string }) {
    this.#kernel = kernel;
    this.#top = Buffer.from(directory);
  }

  /** Takes a file's content off `contents`. @throws CACHE_MOUNTS_INVALID */
  async write(entry: LayerEntry, contents: ByteSource): Promise<void> {
    const absolute = this.#placeOf(entry.path);
    switch (entry.type) {
      case "directory":
        // Its own looks come last, since what is made in it changes its time and it may forbid even us to write.
        this.#directories.push(entry);
        if (entry.path.length > 0) mkdirSync(absolute, { mode: 0o700 });
        return this.#remember(entry, "directory");
      case "file":
        await this.#writeFile(absolute, entry, contents);
        return this.#remember(entry, "file");
      case "hardlink":
        linkSync(this.#linkTarget(entry), absolute);
        return this.#remember(entry, "file");
      case "symlink":
        symlinkSync(entry.linkTarget ?? Buffer.alloc(0), absolute);
        break;
      case "fifo":
        this.#kernel.mkfifo(absolute, 0o600);
        break;
      case "char-device":
      case "block-device":
        throw hostile(entry, "is a device");
    }
    this.#remember(entry, "other");
    this.#setLooks(absolute, entry);
  }

  /** Directories get their looks, the innermost first. */
  finish(): LostLooks {
    for (const entry of this.#directories.reverse()) this.#setLooks(this.#absolute(entry), entry);
    return this.#lost;
  }

  async #writeFile(absolute: Buffer, entry: LayerEntry, contents: ByteSource): Promise<void> {
    const fd = openSync(absolute, "wx", 0o600);
    try {
      for (let left = entry.size; left > 0;) {
        const piece = await contents.takeSome(left);
        if (piece === undefined) throw invalidMounts("contents of files are missing");
        left -= piece.length;
        for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at, piece.length - at);
      }
      this.#tryOwner(entry, () => fchownSync(fd, entry.uid, entry.gid));
      fchmodSync(fd, entry.mode);
      this.#setAttributes(entry, (name, value) => this.#kernel.fsetxattr(fd, name, value));
      this.#kernel.futimens(fd, timesOf(entry));
    } finally {
      closeSync(fd);
    }
  }

  #setLooks(absolute: Buffer, entry: LayerEntry): void {
    this.#tryOwner(entry, () => this.#kernel.lchown(absolute, entry.uid, entry.gid));
    if (entry.type !== "symlink") chmodSync(absolute, entry.mode);
    this.#setAttributes(entry, (name, value) => this.#kernel.lsetxattr(absolute, name, value));
    this.#kernel.utimens(absolute, timesOf(entry));
  }

  /** Files of an ordinary user are that user's, whoever had them elsewhere. */
  #tryOwner({ uid, gid }: LayerEntry, change: () => void): void {
    if (uid === process.getuid?.() && gid === process.getgid?.()) return;
    try {
      change();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#lost.owners += 1;
    }
  }

  #setAttributes({ xattrs }: LayerEntry, set: (name: string, value: Uint8Array) => void): void {
    for (const [name, value] of xattrs ?? []) {
      if (name === usedOnAttribute) continue;
      try {
        set(name, value);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.#lost.attributes += 1;
      }
    }
  }

  #placeOf(path: RootPath): Buffer {
    const text = path.toString("latin1");
    const parent = parentRootPath(path);
    if (this.#made.has(text)) throw hostile({ path }, "is there twice");
    if (parent !== undefined && this.#made.get(parent.toString("latin1")) !== "directory") {
      throw hostile({ path }, "lies in no directory");
    }
    return this.#absolute({ path });
  }

  #linkTarget(entry: LayerEntry): Buffer {
    const target = entry.linkTarget ?? Buffer.alloc(0);
    if (this.#made.get(target.toString("latin1")) === "file")
      return this.#absolute({ path: target });
    throw hostile(entry, "is a link to no file of the cache");
  }

  #remember({ path }: LayerEntry, kind: "directory" | "file" | "other"): void {
    this.#made.set(path.toString("latin1"), kind);
  }

  #absolute({ path }: Pick<LayerEntry, "path">): Buffer {
    return path.length === 0 ? this.#top : Buffer.concat([this.#top, slash, path]);
  }
}

const slash = Buffer.from("/");

/** A file was used at the beginning of the day that is noted, else when it was changed: then a later use shows. */
function timesOf({ mtime, xattrs }: LayerEntry): {
  readonly atime: bigint;
  readonly mtime: bigint;
} {
  const noted = xattrs?.get(usedOnAttribute)?.toString("latin1") ?? "";
  const day = /^\d{1,6}$/.test(noted) ? BigInt(noted) * nanosecondsOfDay : mtime;
  return { atime: day > mtime ? day : mtime, mtime };
}

/** The place or the privilege does not allow it, as opposed to what is wrong in itself. */
function isRefusal(error: unknown): boolean {
  const errno = syscallErrno(error) ?? errnoOf(error) ?? "";
  return ["EPERM", "EACCES", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ERANGE", "E2BIG"].includes(errno);
}

function hostile({ path }: Pick<LayerEntry, "path">, what: string): Error {
  return invalidMounts(`${JSON.stringify(rootPathToString(path))} ${what}`);
}
