import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { loadSyscalls } from "../core/index.ts";

/**
 * Runs work while no other tsbuild does so for the same directory. The lock is on the directory itself, so that no file
 * stays behind. Failures to open it are Node's own.
 */
export async function withDirectoryLock<T>(
  directory: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await lock(handle.fd, signal);
    return await work();
  } finally {
    await handle.close();
  }
}

async function lock(fd: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    const { flock } = await loadSyscalls();
    await flock(fd, { exclusive: true, signal });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    // Network filesystems lock no directories: then two at the same time may lose one.
  }
}
