import { randomBytes } from "node:crypto";
import { closeSync, createWriteStream, openSync, readSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as breathe } from "node:timers/promises";
import {
  createLimiter,
  digestHex,
  loadSyscalls,
  removeTree,
  type Digest,
  type Syscalls,
} from "../core/index.ts";
import { copyContent, type ContentSink, type ContentSource } from "../image/index.ts";
import { ByteSource, readLayerTar } from "../layer/index.ts";
import type { CacheMountStore } from "../store/index.ts";
import { restoreChunk } from "./chunk-compression.ts";
import { invalidMounts, notWritten } from "./errors.ts";
import type { ChunkPlace, MountRecord, MountSet } from "./types.ts";
import { chunksOf } from "./worn-packs.ts";
import { writeTree, type LostLooks } from "./write-tree.ts";

export interface ImportMountsRequest {
  readonly set: MountSet;
  /** Those of the set that are wanted. */
  readonly mounts: readonly MountRecord[];
  readonly source: ContentSource;
  readonly store: CacheMountStore;
  /** Gets a folder for packs, which is removed. */
  readonly tmpDir: string;
  /** Bytes that came, of so many. */
  readonly onProgress?: ((fetched: number, total: number) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface MountImport {
  /** What this process could not arrange. */
  readonly lost: LostLooks;
  readonly fetched: { readonly count: number; readonly bytes: number };
}

/** Packs that come at the same time. */
const atOnce = 4;

/**
 * Puts cache mounts of a place into the store, each at once and whole, in place of what is there. Every pack and every chunk is
 * verified before anything of it is used.
 * @throws CACHE_MOUNTS_INVALID, CACHE_MOUNTS_NOT_WRITTEN, DISK_FULL, LAYER_* for a catalogue that is no tar or leads out, mismatch codes, what the source throws;
 * mounts before the one that failed are in their place then
 */
export async function importMounts(request: ImportMountsRequest): Promise<MountImport> {
  try {
    return await importThrough(
      join(request.tmpDir, `packs-${randomBytes(8).toString("hex")}`),
      request,
    );
  } catch (error) {
    request.signal.throwIfAborted();
    throw notWritten(error, request.tmpDir);
  }
}

/** By way of a folder, which goes again. */
async function importThrough(folder: string, request: ImportMountsRequest): Promise<MountImport> {
  await mkdir(folder, { mode: 0o700 });
  try {
    const fetched = await fetchPacks(request, folder);
    const kernel = await loadSyscalls();
    const lost = { owners: 0, attributes: 0 };
    for (const mount of request.mounts) {
      const { owners, attributes } = await place(mount, { request, folder, kernel });
      lost.owners += owners;
      lost.attributes += attributes;
    }
    return { lost, fetched };
  } finally {
    await removeTree(folder);
  }
}

/** Only those that the mounts need. */
async function fetchPacks(
  { set, mounts, source, onProgress, signal }: ImportMountsRequest,
  folder: string,
): Promise<MountImport["fetched"]> {
  const needed = new Set(mounts.flatMap(chunksOf).map((digest) => placeOf(set, digest).pack));
  const packs = [...set.packs.values()].filter(({ digest }) => needed.has(digest));
  const total = packs.reduce((sum, { size }) => sum + size, 0);
  const sink = folderSink(folder);
  const limit = createLimiter(atOnce);
  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  let before = 0;
  const fetches = packs.map((descriptor) =>
    limit(async () => {
      stop.throwIfAborted();
      let last = 0;
      const onBytes = (size: number): void => {
        before += size - last;
        last = size;
        onProgress?.(before, total);
      };
      await copyContent({ source, sink, descriptor, onBytes, signal: stop });
    }),
  );
  try {
    await Promise.all(fetches);
  } catch (error) {
    failure.abort(error);
    await Promise.allSettled(fetches);
    throw error;
  }
  return { count: packs.length, bytes: total };
}

function folderSink(folder: string): ContentSink {
  return {
    label: folder,
    has: () => Promise.resolve(false),
    tag: () => Promise.resolve(),
    push: async ({ digest }, content: Readable, signal) =>
      pipeline(content, createWriteStream(packPath(folder, digest)), {
        ...(signal === undefined ? {} : { signal }),
      }),
  };
}

function packPath(folder: string, pack: Digest): string {
  return join(folder, digestHex(pack));
}

interface ImportPlace {
  readonly request: ImportMountsRequest;
  readonly folder: string;
  readonly kernel: Syscalls;
}

async function place(mount: MountRecord, at: ImportPlace): Promise<LostLooks> {
  const { request, kernel } = at;
  const { signal } = request;
  let lost: LostLooks = { owners: 0, attributes: 0 };
  const reader = new ChunkReader(at);
  try {
    await request.store.replace({
      key: mount.key,
      fill: async (directory) => {
        const contents = new ByteSource(reader.read(mount.contents, signal));
        const entries = readLayerTar(reader.read(mount.catalogue, signal), {
          contentsElsewhere: true,
        });
        lost = await writeTree({ kernel, directory }, { entries, contents });
      },
    });
  } finally {
    reader.close();
  }
  return lost;
}

/** Reads chunks out of packs that lie in a folder. */
class ChunkReader {
  readonly #set: MountSet;
  readonly #folder: string;
  readonly #open = new Map<Digest, number>();

  constructor({ request, folder }: ImportPlace) {
    this.#set = request.set;
    this.#folder = folder;
  }

  /** @throws CACHE_MOUNTS_INVALID */
  async *read(
    chunks: readonly Digest[],
    signal: AbortSignal,
  ): AsyncGenerator<Buffer, void, undefined> {
    for (const digest of chunks) {
      signal.throwIfAborted();
      const found = placeOf(this.#set, digest);
      const stored = Buffer.allocUnsafe(found.stored);
      const read = readSync(this.#fileOf(found.pack), stored, 0, found.stored, found.offset);
      if (read !== found.stored) throw invalidMounts(`pack ${found.pack} is too short`);
      yield restoreChunk(stored, { digest, size: found.size });
      // Files are written synchronously: signals are heard here.
      await breathe();
    }
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #fileOf(pack: Digest): number {
    const known = this.#open.get(pack);
    if (known !== undefined) return known;
    const fd = openSync(packPath(this.#folder, pack), "r");
    this.#open.set(pack, fd);
    return fd;
  }
}

function placeOf({ chunks }: MountSet, digest: Digest): ChunkPlace {
  const found = chunks.get(digest);
  if (found === undefined) throw invalidMounts(`chunk ${digest} is nowhere`);
  return found;
}
