import { constants } from "node:fs";
import { mkdir, type FileHandle, lstat, open, readdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "./errors.ts";
import { removeTree } from "./remove-tree.ts";
import { loadSyscalls, syscallErrno } from "./syscalls/index.ts";

/** An empty file or directory beside its destination, this process' own until it is renamed or removed. */
export interface PartialPlace {
  readonly path: string;
  /** Gives it the name of the destination. */
  commit(): Promise<void>;
  /** Harmless after `commit`. */
  remove(): Promise<void>;
}

/** So many processes may write to one destination at a time. */
const maxWriters = 64;

/**
 * Claims `.<name>.tsbuild-partial` beside `destination`. Whoever dies leaves it behind, and the next one takes it over:
 * a lock, which the kernel lets go of with its process, tells whether it is in use. Where it is, or where something
 * else has that name, a number is added.
 *
 * Failures are Node's own.
 */
export async function claimPartial(
  destination: string,
  kind: "file" | "directory",
): Promise<PartialPlace> {
  for (let index = 0; ; index++) {
    const number = index === 0 ? "" : `.${String(index)}`;
    const name = `.${basename(destination)}${number}.tsbuild-partial`;
    const path = join(dirname(destination), name);
    const lock = await claim(path, kind);
    if (lock === undefined && index < maxWriters) continue;
    if (lock === undefined) throw Object.assign(new Error(`EBUSY: ${path}`), { code: "EBUSY" });
    return {
      path,
      commit: async () => {
        await rename(path, destination);
        await lock.close();
      },
      remove: async () => {
        if (lock.fd < 0) return;
        try {
          await removeTree(path);
        } finally {
          await lock.close();
        }
      },
    };
  }
}

/** undefined when the path is not ours to take. */
async function claim(path: string, kind: "file" | "directory"): Promise<FileHandle | undefined> {
  for (;;) {
    const handle = await openOwn(path, kind);
    if (handle === undefined) return undefined;
    try {
      if (!(await isOurs(handle, kind)) || !(await lock(handle))) {
        await handle.close();
        return undefined;
      }
      // Its writer may have renamed or removed it before the lock was ours.
      if (await isStillNamed(handle, path)) {
        if (kind === "file") await handle.truncate();
        if (kind === "file" || (await isEmpty(path))) return handle;
        await removeTree(path);
      }
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

/** Never through a symlink, which somebody may have laid there. */
async function openOwn(path: string, kind: "file" | "directory"): Promise<FileHandle | undefined> {
  try {
    if (kind === "file") return await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o666);
    await mkdir(path).catch(unless("EEXIST"));
    return await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    // Something else of that name.
    if (["ELOOP", "ENOTDIR", "EISDIR", "ENXIO"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** A second name would be somebody's file that we were made to write to. */
async function isOurs(handle: FileHandle, kind: "file" | "directory"): Promise<boolean> {
  const found = await handle.stat();
  if (found.uid !== process.geteuid?.()) return false;
  return kind === "directory" || (found.isFile() && found.nlink <= 1);
}

/** True as well on filesystems that know no locks: two writers at once are rarer than those. */
async function lock(handle: FileHandle): Promise<boolean> {
  const { flock } = await loadSyscalls();
  try {
    return await flock(handle.fd, { exclusive: true, nonBlocking: true });
  } catch (error) {
    if (["ENOLCK", "ENOSYS", "EOPNOTSUPP"].includes(syscallErrno(error) ?? "")) return true;
    throw error;
  }
}

async function isStillNamed(handle: FileHandle, path: string): Promise<boolean> {
  const [held, named] = await Promise.all([handle.stat(), lstat(path).catch(unless("ENOENT"))]);
  return named !== undefined && held.ino === named.ino && held.dev === named.dev;
}

async function isEmpty(path: string): Promise<boolean> {
  return (await readdir(path)).length === 0;
}

function unless(errno: string): (error: unknown) => undefined {
  return (error) => {
    if (errnoOf(error) !== errno) throw error;
    return undefined;
  };
}
