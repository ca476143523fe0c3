import { constants } from "node:fs";
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  symlink,
  unlink,
  type FileHandle,
} from "node:fs/promises";
import { join } from "node:path";
import {
  copyBytes,
  errnoOf,
  loadSyscalls,
  makeFolder,
  removeTree,
  type Syscalls,
  tellPath,
} from "../../core/index.ts";
import {
  joinRootPath,
  rootPath,
  rootPathToString,
  type MergedTree,
  type NodeStat,
  type RootPath,
} from "../../layer/index.ts";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

export interface WriteDirectoryOptions {
  readonly tree: MergedTree;
  /** Made when it is not there. Symlinks in this path itself are followed. */
  readonly directory: string;
  /** A folder in it, which is the platform's own. */
  readonly folder?: string | undefined;
  /** `delete` removes what is there and not in the tree. */
  readonly mode: "copy" | "delete";
  /** Time of every file, in nanoseconds; by default its own. */
  readonly mtime?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a root filesystem into a directory. Files belong to whoever calls; setuid and setgid survive only where that
 * changes nothing. Each file is written beside its place and then renamed over what is there.
 *
 * No symlink below the directory is ever followed, neither of the tree nor one that lay there before: every folder is
 * opened as the folder that it is, and its children are reached through that. A symlink where a folder has to be is
 * replaced.
 */
export async function writeDirectory(options: WriteDirectoryOptions): Promise<void> {
  makeFolder(options.directory);
  const top = await openFolder(await realpath(options.directory), options.folder);
  const kernel = await loadSyscalls();
  const writer = new DirectoryWriter({ ...options, directory: top }, kernel);
  await writer.write();
}

class DirectoryWriter {
  readonly #options: WriteDirectoryOptions;
  readonly #kernel: Syscalls;
  /** Where the first name of a file with several was written. */
  readonly #firstNames = new Map<string, Buffer>();

  constructor(options: WriteDirectoryOptions, kernel: Syscalls) {
    this.#options = options;
    this.#kernel = kernel;
  }

  async write(): Promise<void> {
    await this.#inside(Buffer.from(this.#options.directory), async (place) =>
      this.#fill(rootPath, place),
    );
  }

  /** Works in a directory through its open descriptor, so that nobody can put another one in its place. */
  async #inside(path: Buffer, work: (place: Buffer) => Promise<void>): Promise<void> {
    const handle: FileHandle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      await work(Buffer.from(`/proc/self/fd/${String(handle.fd)}`));
    } finally {
      await handle.close();
    }
  }

  async #fill(path: RootPath, place: Buffer): Promise<void> {
    const { tree, mode } = this.#options;
    const names = await tree.readdir(path);
    if (mode === "delete") await removeOthers(place, names);
    const partial = within(place, freeName(names));
    // A run that was killed may have left it.
    await removeTree(partial);
    for (const name of names) {
      this.#options.signal?.throwIfAborted();
      await this.#node(joinRootPath(path, name), { target: within(place, name), partial });
    }
  }

  async #node(
    path: RootPath,
    { target, partial }: { readonly target: Buffer; readonly partial: Buffer },
  ): Promise<void> {
    const stat = await this.#options.tree.lstat(path);
    if (stat === undefined || stat.type === "socket") return;
    const there = await lookAt(target);
    if (stat.type === "directory") return this.#folder(path, { target, stat, there });
    try {
      const isLink = await this.#linked(stat, partial);
      if (!isLink) await this.#make(path, { partial, stat });
      if (there?.isDirectory() === true) await removeTree(target);
      await rename(partial, target);
      if (stat.nlink > 1 && !isLink) {
        this.#firstNames.set(stat.inode, joinPaths(this.#options.directory, path));
      }
    } catch (error) {
      throw tellPath(error, `/${rootPathToString(path)}`);
    } finally {
      // Gone already, unless something went wrong or both were names of one file.
      await unlink(partial).catch(() => undefined);
    }
  }

  async #folder(
    path: RootPath,
    node: {
      readonly target: Buffer;
      readonly stat: NodeStat;
      readonly there: Awaited<ReturnType<typeof lookAt>>;
    },
  ): Promise<void> {
    const { target, stat, there } = node;
    if (there?.isDirectory() === false) await unlink(target);
    if (there?.isDirectory() !== true) await mkdir(target, 0o700);
    // Through the descriptor too: what is at the name may be something else by now.
    await this.#inside(target, async (place) => {
      await this.#fill(path, place);
      await this.#dress(path, { place: within(place, Buffer.from(".")), stat });
    });
  }

  /** True when it is one more name of a file that was written. */
  async #linked(stat: NodeStat, partial: Buffer): Promise<boolean> {
    const first = stat.nlink > 1 ? this.#firstNames.get(stat.inode) : undefined;
    if (first === undefined) return false;
    await link(first, partial);
    return true;
  }

  async #make(
    path: RootPath,
    node: { readonly partial: Buffer; readonly stat: NodeStat },
  ): Promise<void> {
    const { partial, stat } = node;
    const { tree } = this.#options;
    switch (stat.type) {
      case "file": {
        const file = await tree.openFile(path);
        try {
          const copy = await open(partial, "wx", 0o600);
          try {
            await copyBytes({ from: file.fd, to: copy.fd });
          } finally {
            await copy.close();
          }
        } finally {
          await file.close();
        }
        break;
      }
      case "symlink":
        await symlink(await tree.readlink(path), partial);
        break;
      case "fifo":
        this.#kernel.mkfifo(partial, 0o600);
        break;
      case "char-device":
      case "block-device": {
        const type = stat.type === "char-device" ? constants.S_IFCHR : constants.S_IFBLK;
        const { devMajor: major, devMinor: minor } = stat;
        this.#kernel.mknod(partial, { mode: type | 0o600, major, minor });
        break;
      }
      case "directory":
      case "socket":
        return;
    }
    await this.#dress(path, { place: partial, stat });
  }

  /** Gives a node that we made its looks. */
  async #dress(
    path: RootPath,
    node: { readonly place: Buffer; readonly stat: NodeStat },
  ): Promise<void> {
    const { place, stat } = node;
    const { tree, mtime = stat.mtime } = this.#options;
    if (stat.type !== "symlink") await chmod(place, permissionsOf(stat));
    for (const [name, value] of await tree.xattrs(path)) {
      try {
        this.#kernel.lsetxattr(place, name, value);
      } catch {
        // The place may know no such attributes, or forbid them: the file is worth having without.
      }
    }
    this.#kernel.utimens(place, { atime: mtime, mtime });
  }
}

/** The folder itself, which no symlink of that name can stand for. */
async function openFolder(top: string, folder: string | undefined): Promise<string> {
  if (folder === undefined) return top;
  const path = join(top, folder);
  const there = await lookAt(Buffer.from(path));
  if (there?.isDirectory() === false) await unlink(path);
  if (there?.isDirectory() !== true) await mkdir(path);
  return path;
}

/** A file that runs as its owner must not become one that runs as us. */
function permissionsOf({ mode, uid, gid }: NodeStat): number {
  const keepsUser = uid === process.getuid?.() ? 0 : 0o4000;
  const keepsGroup = gid === process.getgid?.() ? 0 : 0o2000;
  return mode & ~(keepsUser | keepsGroup);
}

/** For the node that is being written: none of the names. Always the same, so that the next run finds what is left. */
function freeName(names: readonly Buffer[]): Buffer {
  let free = Buffer.from(".tsbuild-partial");
  while (names.some((name) => name.equals(free))) free = Buffer.concat([free, Buffer.from("~")]);
  return free;
}

async function removeOthers(place: Buffer, names: readonly Buffer[]): Promise<void> {
  const wanted = new Set(names.map((name) => name.toString("latin1")));
  for (const name of await readdir(place, { encoding: "buffer" })) {
    if (!wanted.has(name.toString("latin1"))) await removeTree(within(place, name));
  }
}

async function lookAt(path: Buffer): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function within(place: Buffer, name: Buffer): Buffer {
  return Buffer.concat([place, Buffer.from("/"), name]);
}

function joinPaths(directory: string, path: RootPath): Buffer {
  return within(Buffer.from(directory), path);
}
