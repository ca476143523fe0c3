import { createWriteStream } from "node:fs";
import { lstat, rename, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Writable } from "node:stream";

/** A file that somebody asked for, being written. */
export interface OutputFile {
  readonly stream: Writable;
  /** Makes the finished file appear. */
  commit(): Promise<void>;
  /** Takes back what was begun; harmless after `commit`. */
  remove(): Promise<void>;
}

/**
 * Opens a file that appears under its name when it is whole. Only a plain file is replaced: devices, pipes and symlinks
 * such as `/dev/stdout` are written through, for whoever names them does not want them gone.
 *
 * Failures are Node's own.
 */
export async function openOutputFile(path: string): Promise<OutputFile> {
  const found = await lstat(path).catch(() => undefined);
  const isReplaced = found === undefined || found.isFile();
  const written = isReplaced ? `${path}.${randomBytes(6).toString("hex")}.partial` : path;
  const stream = createWriteStream(written, {
    flags: isReplaced ? "wx" : "w",
    highWaterMark: 1024 * 1024,
  });
  await once(stream, "open");
  return {
    stream,
    commit: async () => (isReplaced ? rename(written, path) : undefined),
    remove: async () => (isReplaced ? rm(written, { force: true }) : undefined),
  };
}
