import { randomBytes } from "node:crypto";
import { createWriteStream, readFileSync, statSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  type AtomicFile,
  makeFolder,
  createVerifier,
  type Digest,
  digestAlgorithm,
  Digester,
  digestOf,
  diskFull,
  errnoOf,
  isDigest,
  isTsbuildError,
  isVouchedFor,
  isDiskFull,
} from "../core/index.ts";
import { storeError } from "./errors.ts";
import { isAbsence, writeTextFile } from "./json-file.ts";
import { blobPath } from "./layout.ts";
import { listNames } from "./list-names.ts";
import { type PartialBlobs, temporaryName } from "./partial-blobs.ts";
import type { BlobStore } from "./types.ts";

type Written = { readonly digest: Digest; readonly size: number };
type Expected = { readonly digest: Digest; readonly size?: number };

/** Largest document that `read` takes into memory unless told otherwise, in bytes: twice what registries accept. */
const defaultLimit = 8 * 1024 * 1024;

const writeBuffer = 1024 * 1024;

/** Largest document that is read without leaving the thread, in bytes. */
const readAtOnce = 64 * 1024;

/** Blobs below `directory`; temporary files lie in `tmpDir`, on the same filesystem. */
export function openBlobs(options: {
  readonly directory: string;
  readonly tmpDir: string;
  readonly partial: PartialBlobs;
  /** Resolves when what dead processes left has been looked through. */
  readonly swept: () => Promise<void>;
  /** `FilesystemSync.shared`. */
  readonly sharedSync: () => AtomicFile["sync"];
}): BlobStore {
  const { directory, tmpDir, partial, swept, sharedSync } = options;
  const path = (digest: Digest): string => blobPath(directory, digest);

  const write = async (
    content: Readable,
    expected?: Expected,
    signal?: AbortSignal,
  ): Promise<Written> => {
    const mark = randomBytes(8).toString("hex");
    const name = expected === undefined ? `blob-${mark}` : temporaryName(expected.digest, mark);
    const temporary = join(tmpDir, name);
    try {
      const written = await writeTemporary({ temporary, content, expected, signal });
      await renameInto(temporary, path(written.digest));
      if (expected !== undefined) await partial.drop(expected.digest);
      return written;
    } catch (error) {
      const hasBrokenOff = signal?.aborted === true || isBrokenOff(error);
      content.destroy();
      if (expected !== undefined && hasBrokenOff) await partial.keep(temporary, expected.digest);
      else await rm(temporary, { force: true });
      throw isDiskFull(error) ? diskFull(directory, error) : error;
    }
  };

  return {
    path,
    write,
    has: async (digest) => sizeOf(path(digest)) !== undefined,
    size: async (digest) => sizeOf(path(digest)),
    open: async (digest) => openBlob(digest, path(digest)),
    read: async (digest, limit = defaultLimit) => readBlob(digest, path(digest), limit),
    writeBytes: async (bytes) => {
      const digest = digestOf(bytes);
      const place = { path: path(digest), tmpDir, durable: true, sync: sharedSync() };
      await writeTextFile({ ...place, content: () => bytes });
      return { digest, size: bytes.length };
    },
    takePartial: async (digest) => {
      await swept();
      return partial.take(digest);
    },
    partialSize: async () => partial.size(),
    clearPartial: async () => partial.clear(),
    remove: async (digest) => rm(path(digest), { force: true }),
    list: () => listBlobs(directory),
  };
}

/** Failures of the way to the content: what came over it is right, and another try may bring the rest. */
const passingFailures = new Set([
  "CANCELED",
  "HTTP_FAILED",
  "HTTP_TIMEOUT",
  "REGISTRY_UNREACHABLE",
]);
/** Failures of the bytes and of the disk, whatever else is said of them. */
const ownFailures = new Set(["DIGEST_MISMATCH", "SIZE_MISMATCH", "DISK_FULL"]);

/** Whether the content broke off. What another try would meet in the same way must not make it begin there. */
function isBrokenOff(error: unknown): boolean {
  if (!isTsbuildError(error) || ownFailures.has(error.code)) return false;
  return passingFailures.has(error.code) || error.details["isRetryable"] === true;
}

async function writeTemporary(job: {
  readonly temporary: string;
  readonly content: Readable;
  readonly expected: Expected | undefined;
  readonly signal: AbortSignal | undefined;
}): Promise<Written> {
  const { content, expected, signal } = job;
  const digester = new Digester();
  const checks =
    expected === undefined
      ? [countInto(digester)]
      : isVouchedFor(content, expected.digest)
        ? []
        : [createVerifier(expected, `blob ${expected.digest}`)];
  const sink = createWriteStream(job.temporary, {
    flags: "wx",
    mode: 0o644,
    highWaterMark: writeBuffer,
    // fsync before closing. Content before name: after a power cut a blob that has its name has its bytes.
    flush: true,
  });
  const closed = new Promise<void>((done) => sink.once("close", done));
  try {
    await pipeline([content, ...checks, sink], signal === undefined ? {} : { signal });
  } finally {
    // A failure may come before the file is even open: it would appear after the caller has removed it.
    await closed;
  }
  return { digest: expected?.digest ?? digester.digest(), size: sink.bytesWritten };
}

function countInto(digester: Digester): Transform {
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done): void {
      digester.update(chunk);
      done(null, chunk);
    },
  });
}

async function renameInto(temporary: string, path: string): Promise<void> {
  try {
    await rename(temporary, path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    makeFolder(dirname(path));
    await rename(temporary, path);
  }
}

function sizeOf(path: string): number | undefined {
  try {
    const found = statSync(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

async function openBlob(digest: Digest, path: string): Promise<Readable> {
  try {
    const handle = await open(path, "r");
    return handle.createReadStream({ highWaterMark: 256 * 1024 });
  } catch (error) {
    throw isAbsence(error) ? notFound(digest) : error;
  }
}

async function readBlob(digest: Digest, path: string, limit: number): Promise<Buffer> {
  const size = sizeOf(path);
  if (size === undefined) throw notFound(digest);
  if (size > limit) {
    throw storeError("STORE_BLOB_TOO_LARGE", `read blob ${digest} of ${String(size)} bytes`, {
      details: { digest, size, limit },
    });
  }
  const bytes = await readDocument(path, size).catch((error: unknown) => {
    throw isAbsence(error) ? notFound(digest) : error;
  });
  const digester = new Digester(digestAlgorithm(digest));
  digester.update(bytes);
  if (digester.digest() !== digest) throw notFound(digest, "damaged");
  return bytes;
}

/** A config of some kilobytes is there before a thread has been told to read it. */
async function readDocument(path: string, size: number): Promise<Buffer> {
  return size <= readAtOnce ? readFileSync(path) : readFile(path);
}

async function* listBlobs(directory: string): AsyncGenerator<Written> {
  for (const algorithm of ["sha256", "sha512"]) {
    for (const name of await listNames(join(directory, algorithm))) {
      const digest = `${algorithm}:${name}`;
      if (!isDigest(digest)) continue;
      const size = sizeOf(join(directory, algorithm, name));
      if (size !== undefined) yield { digest, size };
    }
  }
}

function notFound(digest: Digest, reason: "missing" | "damaged" = "missing"): Error {
  return storeError("STORE_BLOB_NOT_FOUND", `read blob ${digest}: it is ${reason}`, {
    hint:
      reason === "damaged"
        ? "the disk changed its content; remove the image and pull or build it again"
        : "pull or build the image again",
    details: { digest, reason },
  });
}
