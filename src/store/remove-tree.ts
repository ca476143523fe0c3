import type { Dirent } from "node:fs";
import { chmod, readdir, rmdir, unlink } from "node:fs/promises";
import { errnoOf } from "../core/index.ts";

const slash = Buffer.from("/");

/**
 * Removes a file or a tree without following symlinks. Names need not be UTF-8; directories that their owner may not
 * read are opened first (images hold such); others may remove the same tree at the same time. Stops between two
 * entries, leaving the rest, when `signal` is aborted.
 */
export async function removeTree(path: string | Buffer, signal?: AbortSignal): Promise<void> {
  await removeEntry(Buffer.from(path), signal);
}

async function removeEntry(path: Buffer, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  if (await removeFile(path)) return;
  for (const entry of await listDirectory(path)) {
    signal?.throwIfAborted();
    const child = Buffer.concat([path, slash, entry.name]);
    if (entry.isDirectory()) await removeEntry(child, signal);
    else if (!(await removeFile(child))) await removeEntry(child, signal);
  }
  await ignoreAbsence(rmdir(path));
}

/** True when nothing is left at `path`; false when it is a directory. */
async function removeFile(path: Buffer, parentOpened = false): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return true;
    // Linux says EISDIR, POSIX says EPERM.
    if (errnoOf(error) === "EISDIR" || errnoOf(error) === "EPERM") return false;
    if (errnoOf(error) !== "EACCES" || parentOpened) throw error;
    await chmod(path.subarray(0, path.lastIndexOf(slash)), 0o700);
    return removeFile(path, true);
  }
}

async function listDirectory(path: Buffer): Promise<readonly Dirent<Buffer>[]> {
  const read = async (): Promise<Dirent<Buffer>[]> =>
    readdir(path, { withFileTypes: true, encoding: "buffer" });
  try {
    return await read();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    if (errnoOf(error) !== "EACCES") throw error;
    await chmod(path, 0o700);
    return read();
  }
}

async function ignoreAbsence(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
