import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { digestAlgorithm, digestHex, errnoOf, makeFolder, type Digest } from "../core/index.ts";
import { blobPath } from "./layout.ts";
import { listNames } from "./list-names.ts";
import type { PartialBlob } from "./types.ts";

/** Shorter beginnings are fetched again sooner than they are looked for; bytes. */
const worthKeeping = 1024 * 1024;

/** Name of the file into which a blob is written whose digest is known; `mark` tells writers of the same blob apart. */
export function temporaryName(digest: Digest, mark: string): string {
  return `blob-${fileName(digest)}-${mark}`;
}

function fileName(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest)}`;
}

/**
 * Beginnings of blobs whose writing broke off. Nothing is promised of them: they were never synced, so whoever goes on
 * with one hashes it again. Each has at most one owner, the one whose rename succeeds.
 */
export class PartialBlobs {
  readonly #directory: string;
  readonly #tmpDir: string;
  readonly #blobs: string;

  constructor(layout: {
    readonly directory: string;
    readonly tmpDir: string;
    /** Where whole blobs are. */
    readonly blobs: string;
  }) {
    this.#directory = layout.directory;
    this.#tmpDir = layout.tmpDir;
    this.#blobs = layout.blobs;
  }

  /** Keeps a temporary file as the beginning of its blob, or removes it when it is not worth that, or the blob is here. */
  async keep(temporary: string, digest: Digest): Promise<void> {
    try {
      const path = join(this.#directory, fileName(digest));
      const isWorth = (await stat(temporary)).size >= Math.max(worthKeeping, await sizeOf(path));
      if (!isWorth) return await rm(temporary, { force: true });
      makeFolder(this.#directory);
      await rename(temporary, path);
      // Afterwards: whoever brings the whole meanwhile drops what lies here by then.
      if ((await sizeOf(blobPath(this.#blobs, digest))) > 0) await this.drop(digest);
    } catch (error) {
      // Whatever stands in the way, the blob can be fetched as a whole.
      if (errnoOf(error) !== "ENOENT") await rm(temporary, { force: true });
    }
  }

  /** Removes a beginning whose blob is whole now. */
  async drop(digest: Digest): Promise<void> {
    // One that cannot be removed takes room, and is no reason to call the blob a failure: pruning tells of it.
    await rm(join(this.#directory, fileName(digest)), { force: true }).catch(() => undefined);
  }

  /** Keeps what a dead process was writing. Another process may do the same, and remove the folder, at any time. */
  async rescue(folder: string): Promise<void> {
    for (const name of await listNames(folder)) {
      const found = /^blob-(sha256|sha512)-([0-9a-f]+)-[0-9a-f]{16}$/.exec(name);
      const [, algorithm = "", hex = ""] = found ?? [];
      if (found !== null) await this.keep(join(folder, name), `${algorithm}:${hex}` as Digest);
    }
  }

  /** The beginning of a blob, for the caller alone; it is gone when it was read, or when this process ends. */
  async take(digest: Digest): Promise<PartialBlob | undefined> {
    const own = join(this.#tmpDir, `partial-${fileName(digest)}`);
    try {
      await rename(join(this.#directory, fileName(digest)), own);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
    const handle = await open(own, "r");
    await rm(own);
    const { size } = await handle.stat();
    return { size, content: handle.createReadStream({ highWaterMark: 256 * 1024 }) };
  }

  /** Bytes that all of them take up. */
  async size(): Promise<number> {
    let bytes = 0;
    for (const name of await listNames(this.#directory))
      bytes += await sizeOf(join(this.#directory, name));
    return bytes;
  }

  /** Removes all of them. */
  async clear(): Promise<{ readonly removed: number; readonly bytes: number }> {
    const names = await listNames(this.#directory);
    let bytes = 0;
    for (const name of names) {
      const path = join(this.#directory, name);
      bytes += await sizeOf(path);
      await rm(path, { force: true });
    }
    return { removed: names.length, bytes };
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.size ?? 0;
}
