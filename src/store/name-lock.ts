import { type FileHandle, open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, errnoOf, loadSyscalls } from "../core/index.ts";
import { fileNameFor } from "./layout.ts";

/**
 * Runs `work` while no one else, here or in another process, holds the lock of that name in `directory`. flock(2) on a
 * file that the holder removes before it lets go; whoever gets a lock on a removed file asks again.
 * @throws the reason of `signal` when it is aborted while waiting; SYSCALLS_UNAVAILABLE
 */
export async function withNameLock<T>(
  lock: { readonly directory: string; readonly name: string; readonly signal?: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const path = join(lock.directory, fileNameFor(lock.name));
  const handle = await acquire(path, lock.signal);
  try {
    return await work();
  } finally {
    await release(handle, path);
  }
}

async function acquire(path: string, signal: AbortSignal | undefined): Promise<FileHandle> {
  const { flock } = await loadSyscalls();
  for (;;) {
    signal?.throwIfAborted();
    const handle = await openLock(path);
    try {
      await flock(handle.fd, { exclusive: true, signal });
      if (await isStillNamed(handle, path)) return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
  }
}

async function release(handle: FileHandle, path: string): Promise<void> {
  try {
    await unlink(path);
  } finally {
    await handle.close();
  }
}

async function openLock(path: string): Promise<FileHandle> {
  try {
    return await open(path, "a", 0o600);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    makeFolder(join(path, ".."));
    return open(path, "a", 0o600);
  }
}

async function isStillNamed(handle: FileHandle, path: string): Promise<boolean> {
  try {
    const [held, named] = await Promise.all([handle.stat(), stat(path)]);
    return held.ino === named.ino && held.dev === named.dev;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
