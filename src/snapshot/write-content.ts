import {
  closeSync,
  constants,
  openSync,
  readSync,
  write as writeCallback,
  writeSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { rootPathToString, type RootPath } from "../layer/index.ts";
import { snapshotError } from "./errors.ts";
import type { FileContent } from "./types.ts";

const write = promisify(writeCallback);

const createFlags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Up to here one read and one write in this thread are quicker than handing the copy to another one. */
const smallFile = 1024 * 1024;

/** Makes a file; `mode` is reduced by the umask. @throws EEXIST of Node when something has the name */
export function createFile(path: Buffer, mode: number): number {
  return openSync(path, createFlags, mode);
}

/** Fills a new file whose absolute path is `path`; `fd` is its descriptor and stays open. */
export async function writeContent(
  target: { readonly fd: number; readonly path: RootPath },
  content: FileContent,
): Promise<void> {
  if (Buffer.isBuffer(content)) writeAll(target.fd, content);
  else if (content instanceof Readable) await writeStream(target.fd, content);
  else if (content.size <= smallFile) writeAll(target.fd, readAll(content, target.path));
  // The kernel copies, or shares the blocks where the filesystem can; on a thread of the pool.
  else await copyFile(descriptorPath(content.fd), descriptorPath(target.fd), cloneIfPossible);
}

const cloneIfPossible = constants.COPYFILE_FICLONE;

function descriptorPath(fd: number): string {
  return `/proc/self/fd/${String(fd)}`;
}

function writeAll(fd: number, content: Uint8Array): void {
  for (let written = 0; written < content.length;)
    written += writeSync(fd, content, written, content.length - written);
}

async function writeStream(fd: number, content: Readable): Promise<void> {
  for await (const chunk of content as AsyncIterable<Buffer>) {
    for (let written = 0; written < chunk.length;)
      written += (await write(fd, chunk, written, chunk.length - written, null)).bytesWritten;
  }
}

function readAll(source: { readonly fd: number; readonly size: number }, path: RootPath): Buffer {
  const content = Buffer.allocUnsafe(source.size);
  for (let length = 0; length < source.size;) {
    const read = readSync(source.fd, content, length, source.size - length, length);
    if (read === 0) throw changed(path);
    length += read;
  }
  return content;
}

function changed(path: RootPath): Error {
  const text = rootPathToString(path);
  return snapshotError("SNAPSHOT_SOURCE_CHANGED", `write /${text}: its source became shorter`, {
    hint: "the file changed while it was read; try again when nothing writes to it",
    details: { path: text },
  });
}

/** Closes `fd` whatever `work` does. */
export async function closingAfter<T>(fd: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    closeSync(fd);
  }
}
