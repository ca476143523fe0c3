import {
  chmodSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  type Dirent,
} from "node:fs";
import { setImmediate as breathe } from "node:timers/promises";
import { errnoOf } from "./errors.ts";

const slash = 0x2f;
/** Directories with longer paths are named by a descriptor: paths end at 4096 bytes, trees do not. */
const longPath = 3072;

/**
 * Removes a file, or a directory with everything in it; nothing there is success. Unlike Node's `rm` it takes names
 * that are not UTF-8, which root filesystems hold. Symlinks are removed, never followed. Directories that their owner
 * may not change are opened first; others may remove the same tree at the same time. Stops between two nodes, leaving
 * the rest, when `signal` is aborted.
 *
 * Removing is synchronous in small pieces, which is several times faster than Node's promises.
 */
export async function removeTree(path: string | Buffer, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const pending: Buffer[] = [Buffer.from(path)];
  let removed = 0;
  for (let current = pending.at(-1); current !== undefined; current = pending.at(-1)) {
    if (removeNode(current)) pending.pop();
    else if (current.length > longPath) await emptyDirectory(current, signal);
    else pending.push(...removeFilesIn(current));
    if (++removed % 64 !== 0) continue;
    await breathe();
    signal?.throwIfAborted();
  }
}

async function emptyDirectory(path: Buffer, signal: AbortSignal | undefined): Promise<void> {
  const fd = openDirectory(path);
  if (fd === undefined) return;
  try {
    for (const left of removeFilesIn(Buffer.from(`/proc/self/fd/${String(fd)}`))) {
      await removeTree(left, signal);
    }
  } finally {
    closeSync(fd);
  }
}

/** undefined when somebody else has removed it. */
function openDirectory(path: Buffer): number | undefined {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    if (errnoOf(error) !== "EACCES") throw error;
    chmodSync(path, 0o700);
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
}

/** False when it is a directory that is not empty. */
function removeNode(path: Buffer): boolean {
  return removeFile(path) || inOpenDirectory(path, () => removeDirectory(path));
}

/** False when it is a directory. */
function removeFile(path: Buffer): boolean {
  try {
    inOpenDirectory(path, () => unlinkSync(path));
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return true;
    // POSIX says EPERM for a directory, Linux EISDIR.
    if (errno === "EISDIR" || errno === "EPERM") return false;
    throw error;
  }
}

function removeDirectory(path: Buffer): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return true;
    if (errnoOf(error) === "ENOTEMPTY") return false;
    throw error;
  }
}

/** Directories that are left. */
function removeFilesIn(directory: Buffer): Buffer[] {
  const left: Buffer[] = [];
  for (const entry of listDirectory(directory)) {
    // Latin-1 keeps the bytes of any name.
    const path = Buffer.concat([directory, Buffer.from(`/${entry.name}`, "latin1")]);
    if (entry.isDirectory() || !removeFile(path)) left.push(path);
  }
  return left;
}

function listDirectory(directory: Buffer): Dirent[] {
  const read = (): Dirent[] => readdirSync(directory, { encoding: "latin1", withFileTypes: true });
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    if (errnoOf(error) !== "EACCES") throw error;
    chmodSync(directory, 0o700);
    return read();
  }
}

/** Tries once more with the directory around `path` opened, when it is closed even to its owner. */
function inOpenDirectory<T>(path: Buffer, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    chmodSync(path.subarray(0, path.lastIndexOf(slash)), 0o700);
    return work();
  }
}
