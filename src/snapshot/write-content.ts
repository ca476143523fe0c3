import { closeSync, constants, openSync, read as readCallback, readSync, writeSync } from "node:fs";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { type LayerTarDigester, rootPathToString, type RootPath } from "../layer/index.ts";
import { copyBytes, errnoOf, SparseFileWriter } from "../core/index.ts";
import { snapshotError } from "./errors.ts";
import type { FileContent, SmallContent } from "./types.ts";
import type { WriteQueue } from "./write-queue.ts";

const read = promisify(readCallback);

const createFlags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Up to here one read and one write in this thread are quicker than handing the copy to another one. */
export const smallFile = 1024 * 1024;
/** Longer parts mean fewer turns; these four megabytes are all the memory that a file of any size takes. */
const partSize = 2 * 1024 * 1024;

/** Makes a file; `mode` is reduced by the umask. @throws EEXIST of Node when something has the name */
export function createFile(path: Buffer, mode: number): number {
  return openSync(path, createFlags, mode);
}

/** undefined when something has the name. */
export function createFileIfFree(path: Buffer, mode: number): number | undefined {
  try {
    return createFile(path, mode);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return undefined;
    throw error;
  }
}

/**
 * Fills a new file whose descriptor is `fd`, which stays open. What is written is told to `tar`, too.
 * @throws the reason of `signal`, between two parts of a file that takes many
 */
export async function writeContent(
  target: {
    readonly fd: number;
    readonly path: RootPath;
    readonly tar: LayerTarDigester | undefined;
    readonly signal?: AbortSignal | undefined;
  },
  content: FileContent,
): Promise<void> {
  const { fd, tar } = target;
  if (Buffer.isBuffer(content)) {
    writeAll(fd, content);
    tar?.content(content);
  } else if (content instanceof Readable) await writeStream(target, content);
  else if (content.size <= smallFile)
    writeAll(fd, readSmall({ ...target, queue: undefined }, content));
  else if (tar === undefined) await copyBytes({ from: content.fd, to: fd, signal: target.signal });
  else await copyLarge({ ...target, tar }, content);
}

/** The length of content that is known before it is read. */
export function lengthOf(content: FileContent): number | undefined {
  if (Buffer.isBuffer(content)) return content.length;
  return content instanceof Readable ? undefined : content.size;
}

/**
 * The content of up to `smallFile` bytes, where `tar` or else `queue` wants it to lie. It is told to `tar`.
 * @throws SNAPSHOT_SOURCE_CHANGED
 */
export function readSmall(
  target: {
    readonly path: RootPath;
    readonly tar: LayerTarDigester | undefined;
    readonly queue: WriteQueue | undefined;
  },
  source: SmallContent,
): Buffer {
  const { tar, queue } = target;
  const { size, bytes } = Buffer.isBuffer(source)
    ? { size: source.length, bytes: source }
    : { size: source.size, bytes: undefined };
  // The tar takes parts of up to half a megabyte as they are read.
  const isTold = tar !== undefined && size <= smallFile / 2;
  const place = isTold ? tar.reserve(size) : tar === undefined ? queue?.reserve(size) : undefined;
  const content = place ?? bytes ?? Buffer.allocUnsafe(size);
  if (Buffer.isBuffer(source)) {
    if (content !== source) source.copy(content);
  } else readAll(source.fd, content, target.path);
  if (!isTold) tar?.content(content);
  return content;
}

/**
 * Reads the next part while the last one is written and hashed: three things at once, on two threads of the pool and this
 * one. What is hashed is what was written, whoever writes to the source meanwhile.
 */
async function copyLarge(
  target: LargeTarget & { readonly fd: number; readonly tar: LayerTarDigester },
  source: { readonly fd: number; readonly size: number },
): Promise<void> {
  const writer = new SparseFileWriter(target.fd);
  await readLarge(target, source, async (part) => {
    const written = writer.write(part);
    target.tar.content(part);
    await written;
  });
  await writer.finish();
}

/** Where a large file goes to, and what ends that. */
interface LargeTarget {
  readonly path: RootPath;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives the parts of a file one by one, each only until `take` is over; the next one is read meanwhile.
 * @throws SNAPSHOT_SOURCE_CHANGED; the reason of `signal`
 */
export async function readLarge(
  { path, signal }: LargeTarget,
  source: { readonly fd: number; readonly size: number },
  take: (part: Buffer) => Promise<void> | void,
): Promise<void> {
  const places = [Buffer.allocUnsafeSlow(partSize), Buffer.allocUnsafeSlow(partSize)] as const;
  const readPart = async (turn: number, position: number): Promise<Buffer> => {
    const place = places[turn % 2 === 0 ? 0 : 1];
    const length = Math.min(partSize, source.size - position);
    const { bytesRead } = await read(source.fd, place, 0, length, position);
    return place.subarray(0, bytesRead);
  };
  let part = await readPart(0, 0);
  for (let turn = 1, position = part.length; part.length > 0; turn++) {
    const next = readPart(turn, position);
    const current = part;
    const taken = (async () => take(current))();
    const settled = await Promise.allSettled([next, taken]);
    for (const outcome of settled) if (outcome.status === "rejected") throw outcome.reason;
    signal?.throwIfAborted();
    part = await next;
    position += part.length;
    if (part.length === 0 && position < source.size) throw sourceChanged(path);
  }
}

/** Writes to the end, at the place of the descriptor. */
export function writeAll(fd: number, content: Uint8Array): void {
  for (let written = 0; written < content.length;)
    written += writeSync(fd, content, written, content.length - written);
}

async function writeStream(
  { fd, signal }: { readonly fd: number; readonly signal?: AbortSignal | undefined },
  content: Readable,
): Promise<void> {
  const writer = new SparseFileWriter(fd);
  for await (const chunk of content as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    await writer.write(chunk);
  }
  await writer.finish();
}

/** Fills `content` from the beginning of the file. @throws SNAPSHOT_SOURCE_CHANGED */
export function readAll(fd: number, content: Buffer, path: RootPath): void {
  for (let length = 0; length < content.length;) {
    const count = readSync(fd, content, length, content.length - length, length);
    if (count === 0) throw sourceChanged(path);
    length += count;
  }
}

/** SNAPSHOT_SOURCE_CHANGED. */
export function sourceChanged(path: RootPath): Error {
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
