import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
  type Stats,
} from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { coreError, errnoOf, isTsbuildError } from "./errors.ts";

/** In bytes; what holds more is refused. */
interface Limit {
  readonly limit: number;
}

/** How long somebody may take to open a named pipe for writing, in milliseconds. */
const pipePatience = 5_000;

/**
 * The content of a regular file that a person wrote: a Dockerfile, an ignore file, credentials. Whatever else has the
 * name, a pipe that nobody writes to, a device that never ends, is refused without being opened.
 * @throws FILE_UNSUITABLE, and what the system says (ENOENT, EACCES)
 */
export function readSmallFile(path: string, { limit }: Limit): Buffer {
  expectFile(path, statSync(path));
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    // It may have been exchanged meanwhile.
    const stat = fstatSync(fd);
    expectFile(path, stat);
    const chunks: Buffer[] = [];
    let size = 0;
    // Files in /proc say that they are empty.
    for (let room = Math.min(stat.size, limit) + 1; ; room = 65536) {
      const chunk = Buffer.allocUnsafe(room);
      const read = readSync(fd, chunk);
      if (read === 0) break;
      chunks.push(chunk.subarray(0, read));
      size += read;
      if (size > limit) throw tooLarge(path, limit);
    }
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
  } finally {
    closeSync(fd);
  }
}

/**
 * The same of a name that the user gave, which may stand for a pipe (`-f <(generate)`) or a device (`/dev/null`): these
 * are read to their end. A pipe may take its time, but not one that nobody has opened for writing.
 * @throws FILE_UNSUITABLE, and what the system says (ENOENT, EACCES)
 */
export async function readSmallInput(
  path: string,
  { limit, signal }: Limit & { readonly signal?: AbortSignal | undefined },
): Promise<Buffer> {
  const found = statSync(path);
  if (found.isFile() || found.isDirectory() || found.isSocket()) {
    return readSmallFile(path, { limit });
  }
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const patience = found.isFIFO() && isNamed(path) ? pipePatience : 0;
    const until = Date.now() + patience;
    const chunks: Buffer[] = [];
    let size = 0;
    for (;;) {
      const chunk = readNow(fd);
      const mayStillBegin = chunk?.length === 0 && size === 0 && patience > 0;
      if (chunk === undefined || (mayStillBegin && Date.now() < until)) {
        await wait(10, undefined, { signal });
        continue;
      }
      if (mayStillBegin) throw unsuitable(path, "nobody writes to this pipe", "name a file");
      if (chunk.length === 0) return Buffer.concat(chunks);
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) throw tooLarge(path, limit);
    }
  } finally {
    closeSync(fd);
  }
}

/** Empty at the end, undefined when there is nothing yet. */
function readNow(fd: number): Buffer | undefined {
  const chunk = Buffer.allocUnsafe(65536);
  try {
    return chunk.subarray(0, readSync(fd, chunk));
  } catch (error) {
    if (errnoOf(error) === "EAGAIN") return undefined;
    throw error;
  }
}

/** Whether others can still open it: `/dev/fd/63` leads to a pipe that has no name. */
function isNamed(path: string): boolean {
  try {
    realpathSync.native(path);
    return true;
  } catch {
    return false;
  }
}

function expectFile(path: string, stat: Stats): void {
  if (stat.isFile()) return;
  throw unsuitable(path, `it is a ${kindOf(stat)}, not a file`, "put a plain file there");
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return "directory";
  if (stat.isFIFO()) return "named pipe";
  return stat.isSocket() ? "socket" : "device";
}

function tooLarge(path: string, limit: number): Error {
  const shown = limit < 1 << 20 ? `${String(limit >> 10)} KiB` : `${String(limit >> 20)} MiB`;
  const reason = `it holds more than ${shown}`;
  return unsuitable(path, reason, "check that it is the file that is meant", { limit });
}

/** `details.reason` is for those who tell of it in their own words, `details.limit` is there when it was too large. */
function unsuitable(
  path: string,
  reason: string,
  hint: string,
  more: Readonly<Record<string, number>> = {},
): Error {
  return coreError("FILE_UNSUITABLE", `read ${path}: ${reason}`, {
    hint,
    details: { path, reason, ...more },
  });
}

/** What is wrong with a file that could not be read, in words. */
export function whyUnreadable(error: unknown): string {
  const reason = isTsbuildError(error, "FILE_UNSUITABLE") ? error.details["reason"] : undefined;
  if (typeof reason === "string") return reason;
  const errno = errnoOf(error);
  return (errno === undefined ? undefined : reasons[errno]) ?? errno ?? "it cannot be read";
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ELOOP: "its symlinks lead in a circle",
  ENOTDIR: "a part of its path is no directory",
  ENXIO: "it is a device without a driver, or a socket",
};
