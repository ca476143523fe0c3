import { createWriteStream } from "node:fs";
import { lstat, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import {
  digestHex,
  digestOf,
  isIndexType,
  isManifestType,
  makeFolder,
  type Digest,
} from "../core/index.ts";
import {
  maxManifestSize,
  parseManifestOrIndex,
  type ContentSink,
  type ContentSource,
  type Descriptor,
} from "../image/index.ts";
import { openArchiveFiles, type ArchiveFiles } from "./archive-files.ts";
import { archiveError } from "./errors.ts";
import { replaceFile, writeError } from "./replace-file.ts";

/** The plain files of one image (`dir:` of skopeo and podman), to be read. Whoever opens it closes it. */
export interface ImageDirectorySource extends ContentSource {
  readonly root: Descriptor;
  close(): Promise<void>;
}

/** The same to be written: push, then `finish`. */
export interface ImageDirectorySink extends ContentSink {
  /** Writes the documents; the image is there from then on. */
  finish(root: Descriptor): Promise<void>;
}

const versionFile = "version";
const versionText = "Directory Transport Version: 1.1\n";

/** @throws ARCHIVE_NOT_FOUND, ARCHIVE_KIND_UNKNOWN when it holds no image; IMAGE_INVALID */
export async function openImageDirectory(directory: string): Promise<ImageDirectorySource> {
  const files = await openArchiveFiles({ input: directory });
  try {
    if ((await files.size("manifest.json")) === undefined) {
      throw archiveError("ARCHIVE_KIND_UNKNOWN", `read directory ${directory}: it holds no image`, {
        hint: "dir: is a directory with a manifest.json, as skopeo writes it; oci: is a layout",
        details: { path: directory },
      });
    }
    const bytes = await files.read("manifest.json", maxManifestSize);
    const document = parseManifestOrIndex(bytes);
    const { mediaType } = document.type === "index" ? document.index : document.manifest;
    const root = { mediaType, digest: digestOf(bytes), size: bytes.length };
    return {
      label: `directory ${directory}`,
      root,
      resolve: () => Promise.resolve(root),
      fetch: async (descriptor) => files.open(await nameOf(files, descriptor, root)),
      close: () => files.close(),
    };
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** Blobs are called by their digest alone, the manifests of an index have an ending. */
async function nameOf(
  files: ArchiveFiles,
  { digest, mediaType }: Descriptor,
  root: Descriptor,
): Promise<string> {
  if (digest === root.digest) return "manifest.json";
  if (!isDocument(mediaType)) return digestHex(digest);
  const name = manifestName(digest);
  return (await files.size(name)) === undefined ? digestHex(digest) : name;
}

/**
 * A directory that is empty, not there, or holds such an image already, which is replaced.
 * @throws ARCHIVE_WRITE_FAILED
 */
export async function openImageDirectorySink(directory: string): Promise<ImageDirectorySink> {
  const label = `directory ${directory}`;
  const pathOf = (name: string): string => join(directory, name);
  const documents = new Map<Digest, Buffer>();
  const writing = async (work: () => Promise<void>): Promise<void> =>
    work().catch((error: unknown) => {
      throw writeError(error, label);
    });
  await writing(async () => prepare(directory));
  return {
    label,
    has: async ({ digest, size, mediaType }) => {
      if (isDocument(mediaType)) return documents.has(digest);
      const found = await lstat(pathOf(digestHex(digest))).catch(() => undefined);
      return found?.isFile() === true && found.size === size;
    },
    push: async ({ digest, mediaType }, content, signal) =>
      writing(async () => {
        if (isDocument(mediaType)) return void documents.set(digest, await buffer(content));
        await replaceFile(pathOf(digestHex(digest)), async (partial) =>
          writeStream(partial, content, signal),
        );
      }),
    tag: () => Promise.resolve(),
    finish: async (root) =>
      writing(async () => {
        for (const [digest, bytes] of documents) {
          if (digest === root.digest) continue;
          await replaceFile(pathOf(manifestName(digest)), (partial) => writeFile(partial, bytes));
        }
        const top = documents.get(root.digest);
        if (top === undefined) throw notWhole(label, root);
        await replaceFile(pathOf(versionFile), (partial) => writeFile(partial, versionText));
        await replaceFile(pathOf("manifest.json"), (partial) => writeFile(partial, top));
      }),
  };
}

/** Files of somebody else's are not mixed with an image's. */
async function prepare(directory: string): Promise<void> {
  makeFolder(directory);
  const names = await readdir(directory);
  if (names.length === 0 || names.includes(versionFile)) return;
  throw archiveError("ARCHIVE_WRITE_FAILED", `write ${directory}: it holds something else`, {
    hint: "give an empty directory, or one that holds such an image",
    details: { path: directory, reason: "ENOTEMPTY" },
  });
}

async function writeStream(
  path: string,
  content: Readable,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  await pipeline(content, createWriteStream(path, { flags: "r+" }), options);
}

function manifestName(digest: Digest): string {
  return `${digestHex(digest)}.manifest.json`;
}

function isDocument(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

function notWhole(label: string, root: Descriptor): Error {
  return archiveError("ARCHIVE_WRITE_FAILED", `write ${label}: ${root.digest} was not pushed`, {
    details: { path: label, digest: root.digest },
  });
}
