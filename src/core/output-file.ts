import { createWriteStream } from "node:fs";
import { lstat } from "node:fs/promises";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { claimPartial } from "./partial.ts";

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
  if (!isReplaced) {
    const nothing = (): Promise<void> => Promise.resolve();
    return { stream: await openStream(path, "w"), commit: nothing, remove: nothing };
  }
  const { path: partial, commit, remove } = await claimPartial(path, "file");
  try {
    return { stream: await openStream(partial, "r+"), commit, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function openStream(path: string, flags: "w" | "r+"): Promise<Writable> {
  const stream = createWriteStream(path, { flags, highWaterMark: 1024 * 1024 });
  await once(stream, "open");
  return stream;
}
