import { closeSync, createReadStream, createWriteStream, fstatSync } from "node:fs";
import { mkdtemp, open, rm, stat, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import {
  errnoOf,
  isTsbuildError,
  loadSyscalls,
  syscallErrno,
  type Syscalls,
} from "../core/index.ts";
import { decompress, detectCompression, detectionLength } from "../layer/index.ts";
import { archiveError } from "./errors.ts";
import { readRange } from "./read-range.ts";
import { readSparse } from "./sparse-member.ts";
import { indexTar, type TarMember } from "./tar-index.ts";

/** The files of an archive by name, whether it is a tar or a directory. */
export interface ArchiveFiles {
  readonly label: string;
  /** Bytes of a file, links followed; undefined when there is none of that name. */
  size(name: string): Promise<number | undefined>;
  /** @throws ARCHIVE_BLOB_NOT_FOUND */
  open(name: string): Promise<Readable>;
  /** @throws ARCHIVE_BLOB_NOT_FOUND; ARCHIVE_INVALID over `limit` bytes */
  read(name: string, limit: number): Promise<Buffer>;
  close(): Promise<void>;
}

export interface OpenFilesOptions {
  /** A tar, compressed or not; or the directory of an OCI layout. */
  readonly input: string | Readable;
  /** Folder for what must be written down to be read at will: streams, and compressed archives. */
  readonly tmpDir?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws ARCHIVE_NOT_FOUND, ARCHIVE_TRUNCATED, ARCHIVE_INVALID; LAYER_* codes of an outer compression */
export async function openArchiveFiles(options: OpenFilesOptions): Promise<ArchiveFiles> {
  const { input } = options;
  if (typeof input !== "string") return spool({ ...options, input, label: "the input stream" });
  const file = await openExisting(input);
  try {
    if ((await file.stat()).isDirectory()) {
      return await directoryFiles(file, input);
    }
    const start = Buffer.alloc(detectionLength);
    // A pipe or a device cannot be read twice.
    const isRegular = (await file.stat()).isFile();
    if (isRegular) await file.read(start, 0, detectionLength, 0);
    if (isRegular && detectCompression(start) === "none") return await tarFiles(file, input);
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return spool({ ...options, input: createReadStream(input), label: input });
}

async function openExisting(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    throw archiveError("ARCHIVE_NOT_FOUND", `open archive ${path}`, {
      hint: errnoOf(cause) === "EACCES" ? "the file may not be read" : "check the path",
      details: { path, reason: errnoOf(cause) },
      cause,
    });
  }
}

async function spool(
  options: OpenFilesOptions & { readonly input: Readable; readonly label: string },
): Promise<ArchiveFiles> {
  const { input, label, signal } = options;
  const folder = await mkdtemp(join(options.tmpDir ?? tmpdir(), "archive-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "archive.tar");
    const { content } = await decompress(input);
    await pipeline(content, createWriteStream(path, { mode: 0o600 }), {
      ...(signal === undefined ? {} : { signal }),
    });
    if ((await stat(path)).size === 0) throw emptyArchive(label);
    const file = await open(path, "r");
    const files = await tarFiles(file, label).catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    return { ...files, close: () => files.close().then(remove) };
  } catch (error) {
    await remove();
    if (!isTsbuildError(error, "LAYER_TRUNCATED")) throw error;
    throw archiveError("ARCHIVE_TRUNCATED", `read archive ${label}: it ends in the middle`, {
      hint: error.hint,
      details: { path: label },
      cause: error,
    });
  }
}

/** What a pipe gives whose writer has failed. */
function emptyArchive(label: string): Error {
  return archiveError("ARCHIVE_KIND_UNKNOWN", `read archive ${label}: it is empty`, {
    hint: "look whether the program that was to write it has failed",
    details: { path: label },
  });
}

async function tarFiles(file: FileHandle, label: string): Promise<ArchiveFiles> {
  const members = await indexTar(file, label);
  const find = (name: string): TarMember => {
    const member = followLinks(members, name);
    if (member !== undefined) return member;
    throw notFound(name, label);
  };
  return {
    label,
    size: (name) => Promise.resolve(followLinks(members, name)?.size),
    open: async (name) => {
      return Readable.from(contentOf(file, find(name)), { objectMode: false });
    },
    read: async (name, limit) => {
      const member = find(name);
      const { start, size } = member;
      if (size > limit) throw tooLarge(name, label, limit);
      if (member.sparse !== undefined) return buffer(contentOf(file, member));
      const bytes = Buffer.alloc(size);
      await file.read(bytes, 0, size, start);
      return bytes;
    },
    close: () => file.close(),
  };
}

function contentOf(file: FileHandle, { start, size, sparse }: TarMember): AsyncIterable<Buffer> {
  return sparse === undefined ? readRange(file, start, size) : readSparse(file, sparse);
}

/** Old archives store a layer that two images share once, and link to it. Links lead nowhere but inside. */
function followLinks(members: ReadonlyMap<string, TarMember>, name: string): TarMember | undefined {
  let path = resolveInside("", name);
  for (let hops = 0; hops < 16; hops += 1) {
    const member = members.get(path);
    if (member?.type === "file") return member;
    if (member?.type === "link") path = resolveInside("", member.target);
    else if (member?.type === "symlink") path = resolveInside(folderOf(path), member.target);
    else return undefined;
  }
  return undefined;
}

/** The path that a link inside an archive means; `..` ends at the archive's root, as after a chroot. */
function resolveInside(folder: string, target: string): string {
  const parts = target.startsWith("/") ? [] : folder.split("/");
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.filter((part) => part !== "").join("/");
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

/**
 * Links in a layout may lead to other places in it (some tools keep blobs once so), and nowhere else: the kernel looks
 * names up beneath `root`.
 */
async function directoryFiles(root: FileHandle, label: string): Promise<ArchiveFiles> {
  const kernel = await loadSyscalls();
  const find = (name: string): Promise<FileHandle | undefined> =>
    openBeneath(kernel, { root, label, path: resolveInside("", name) });
  const expect = async (name: string): Promise<FileHandle> => {
    const file = await find(name);
    if (file === undefined) throw notFound(name, label);
    return file;
  };
  return {
    label,
    size: async (name) => {
      const file = await find(name);
      if (file === undefined) return undefined;
      return closingAfter(file, async () => (await file.stat()).size);
    },
    open: async (name) => (await expect(name)).createReadStream({ highWaterMark: 256 * 1024 }),
    read: async (name, limit) => {
      const file = await expect(name);
      return closingAfter(file, async () => {
        if ((await file.stat()).size > limit) throw tooLarge(name, label, limit);
        return file.readFile();
      });
    },
    close: () => root.close(),
  };
}

/** undefined when there is no regular file. @throws ARCHIVE_INVALID for a link that leads out */
async function openBeneath(
  kernel: Syscalls,
  place: { readonly root: FileHandle; readonly label: string; readonly path: string },
): Promise<FileHandle | undefined> {
  let found: number;
  try {
    // Opened to be looked at only: reading has an effect on devices, and waits on FIFOs.
    found = kernel.openat2(place.root.fd, place.path, {
      flags: O_PATH,
      resolve: { beneath: true, noMagicLinks: true },
    });
  } catch (error) {
    const errno = syscallErrno(error) ?? "";
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(errno)) return undefined;
    if (errno === "EXDEV" || errno === "ELOOP") throw leadsOut(place, error);
    throw error;
  }
  try {
    if (!fstatSync(found).isFile()) return undefined;
    return await open(`/proc/self/fd/${String(found)}`, "r");
  } finally {
    closeSync(found);
  }
}

const O_PATH = 0o10000000;

async function closingAfter<T>(file: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await file.close();
  }
}

function leadsOut(place: { readonly label: string; readonly path: string }, cause: unknown): Error {
  const { label, path } = place;
  return archiveError("ARCHIVE_INVALID", `read ${path} from ${label}: a link leads out of it`, {
    hint: "copy the layout with its links followed (cp -rL) if you trust them",
    details: { name: path, path: label },
    cause,
  });
}

function notFound(name: string, label: string): Error {
  return archiveError("ARCHIVE_BLOB_NOT_FOUND", `read ${name} from ${label}: it is not there`, {
    hint: "the archive is incomplete, perhaps on purpose",
    details: { name, path: label },
  });
}

function tooLarge(name: string, label: string, limit: number): Error {
  return archiveError("ARCHIVE_INVALID", `read ${name} from ${label}: it is too large`, {
    details: { name, path: label, limit },
  });
}
