import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { loadSyscalls } from "./syscalls/index.ts";

/**
 * Keeps other processes of tsbuild that ask for the same from a directory, until the handle is closed or this process
 * ends. The lock is on the directory itself, so that no file stays behind. Failures to open it are Node's own.
 */
export async function lockDirectory(
  directory: string,
  signal: AbortSignal | undefined,
): Promise<FileHandle> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const { flock } = await loadSyscalls();
    await flock(handle.fd, { exclusive: true, signal });
  } catch (error) {
    // Network filesystems lock no directories: then two at the same time may lose one.
    if (signal?.aborted !== true) return handle;
    await handle.close();
    throw error;
  }
  return handle;
}
