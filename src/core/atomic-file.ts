import { randomBytes } from "node:crypto";
import { closeSync, fsync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { coreError } from "./errors.ts";
import { isDiskFull, tellPath } from "./syscalls/index.ts";

export interface AtomicFile {
  readonly path: string;
  /** An existing folder on the same filesystem as `path`, swept when its process is dead. */
  readonly tmpDir: string;
  /** Parts are written one after the other, so that the whole never is in memory. */
  readonly content: string | Uint8Array | Iterable<string | Uint8Array>;
  /** Permission bits before the umask, 0o644 unless given. */
  readonly mode?: number;
  /** fsync before the rename, so that a power cut leaves the old or the new content and never an empty file. */
  readonly durable?: boolean;
  /**
   * In place of the fsync of a short file: a sync of its filesystem that begins after the call and that others wait for,
   * too.
   */
  readonly sync?: (() => Promise<void>) | undefined;
  /** The rename waits for it; when it rejects, nothing is replaced. */
  readonly after?: Promise<unknown> | undefined;
}

/**
 * Replaces the file by rename: a reader sees the old content or the new one, whole. The folder of `path` must exist.
 * @throws DISK_FULL; other failures as Node's own, or SYSCALL_FAILED with the path where Node's have none
 */
export async function writeFileAtomic(file: AtomicFile): Promise<void> {
  const temporary = join(file.tmpDir, `write-${randomBytes(8).toString("hex")}`);
  try {
    const { content } = file;
    if (isShort(content)) await replaceAtOnce(temporary, { ...file, content });
    else await replace(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw isDiskFull(error) ? diskFull(file.path, error) : tellPath(error, file.path);
  }
}

const synced = promisify(fsync);

/** Longest content that is written without leaving the thread: a record, not the table of a large context. */
const writeAtOnce = 64 * 1024;

/** Waits for nothing but the disk. */
async function replaceAtOnce(
  temporary: string,
  file: AtomicFile & { readonly content: string | Uint8Array },
): Promise<void> {
  const { path, content, mode = 0o644, durable = false, sync, after } = file;
  if (durable && sync === undefined) await writeDurably(temporary, { content, mode });
  else writeFileSync(temporary, content, { flag: "wx", mode });
  if (durable) await sync?.();
  if (after !== undefined) await after;
  renameSync(temporary, path);
}

async function writeDurably(
  path: string,
  { content, mode }: { readonly content: string | Uint8Array; readonly mode: number },
): Promise<void> {
  const fd = openSync(path, "wx", mode);
  try {
    writeFileSync(fd, content);
    await synced(fd);
  } finally {
    closeSync(fd);
  }
}

async function replace(temporary: string, file: AtomicFile): Promise<void> {
  const handle = await open(temporary, "wx", file.mode ?? 0o644);
  await fill(handle, file);
  await file.after;
  await rename(temporary, file.path);
}

async function fill(handle: FileHandle, file: AtomicFile): Promise<void> {
  try {
    await writeFile(handle, file.content);
    if (file.durable === true) await handle.sync();
  } finally {
    await handle.close();
  }
}

function isShort(content: AtomicFile["content"]): content is string | Uint8Array {
  return (
    (typeof content === "string" || content instanceof Uint8Array) && content.length <= writeAtOnce
  );
}

/** DISK_FULL about `path`. */
export function diskFull(path: string, cause: unknown): Error {
  return coreError("DISK_FULL", `write ${path}: no space left`, {
    hint: "free some space, for example with `tsbuild system prune`, then try again",
    details: { path },
    cause,
  });
}
