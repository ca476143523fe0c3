import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { loadSyscalls, removeTree, type Digest, type Syscalls } from "../core/index.ts";
import type { ContentSink, ContentSource, Descriptor } from "../image/index.ts";
import type { CacheMountName } from "../store/index.ts";
import { chooseFiles, type TravelLimits } from "./choose-files.ts";
import { listTree, type CacheNode } from "./list-tree.ts";
import { writeMountSet, type MountDocuments } from "./mount-set.ts";
import { PackWriter } from "./pack-writer.ts";
import { readMount } from "./read-mount.ts";
import { PackSender } from "./send-packs.ts";
import type { MountRecord, MountSet } from "./types.ts";
import { findWornPacks } from "./worn-packs.ts";

/**
 * Bytes of a pack. Chunks alone would be thousands of blobs, and a registry takes three requests for each: twice the CPU for the
 * first export of a real cache (docs/cache-mounts.md). A pack that is too large holds more that is not used after a change.
 */
export const usualPackSize = 16 * 1024 * 1024;

/** A cache directory to be read. Whoever asks holds it. */
export interface MountToExport {
  readonly key: string;
  readonly name: CacheMountName;
  /** Absolute. */
  readonly directory: string;
}

export interface ExportMountsRequest {
  readonly mounts: readonly MountToExport[];
  readonly limits: TravelLimits;
  /** What the target has under the name by now: its chunks are not sent again, and its other mounts stay. */
  readonly previous: { readonly set: MountSet; readonly source: ContentSource } | undefined;
  /** Takes packs as soon as they are whole. */
  readonly sink: ContentSink;
  /** Gets a folder for packs on their way, which is removed. */
  readonly tmpDir: string;
  readonly packSize?: number | undefined;
  /** Bytes that were read, of so many. */
  readonly onProgress?: ((read: number, total: number) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface ExportedMount {
  readonly name: CacheMountName;
  readonly files: number;
  readonly size: number;
  /** Names and bytes that stayed behind for their age or for want of room. */
  readonly dropped: { readonly files: number; readonly bytes: number };
}

export interface MountExport {
  /** To be copied to the sink, where its packs are by now, and named there. */
  readonly root: Descriptor;
  readonly source: ContentSource;
  readonly mounts: readonly ExportedMount[];
  /** Mounts of the target that are not here, and stay. */
  readonly kept: readonly CacheMountName[];
  /** New packs. */
  readonly sent: { readonly count: number; readonly bytes: number };
}

/**
 * Brings cache directories to a place: cuts them into chunks by their content, sends those that the place does not have, and
 * makes the documents that say how they come together again. Equal directories give equal documents.
 * @throws CACHE_MOUNTS_CHANGING; what the sink throws; the reason of the signal
 */
export async function exportMounts(request: ExportMountsRequest): Promise<MountExport> {
  const folder = join(request.tmpDir, `packs-${randomBytes(8).toString("hex")}`);
  await mkdir(folder, { mode: 0o700 });
  const exporter = new Exporter(request, { folder, kernel: await loadSyscalls() });
  try {
    return await exporter.run();
  } finally {
    await exporter.close();
    await removeTree(folder);
  }
}

class Exporter {
  readonly #request: ExportMountsRequest;
  readonly #kernel: Syscalls;
  readonly #packSize: number;
  readonly #writer: PackWriter;
  readonly #sender: PackSender;

  constructor(
    request: ExportMountsRequest,
    { folder, kernel }: { readonly folder: string; readonly kernel: Syscalls },
  ) {
    this.#request = request;
    this.#kernel = kernel;
    this.#packSize = request.packSize ?? usualPackSize;
    this.#sender = new PackSender(request.sink, request.signal);
    this.#writer = new PackWriter({
      directory: folder,
      packSize: this.#packSize,
      send: (pack) => this.#sender.send(pack),
    });
  }

  async run(): Promise<MountExport> {
    const { mounts, limits, previous, sink } = this.#request;
    const listed = mounts.map(({ directory }) => listTree(directory));
    const chosen = chooseFiles(listed, limits);
    const records = await this.#read(chosen, async (digest, chunk) => {
      const isKnown = this.#writer.has(digest) || previous?.set.chunks.has(digest) === true;
      if (!isKnown) await this.#writer.add(digest, chunk);
    });
    await this.#writer.flush();
    const kept = this.#keep(records);
    const all = [...records, ...kept];
    await this.#renew(all, chosen);
    await this.#sender.finish();
    const documents = writeMountSet(this.#setOf(all));
    return {
      root: documents.manifest,
      source: withDocuments(documents, previous?.source, sink.label),
      mounts: records.map(({ name, files, size }, index) => ({
        ...{ name, files, size },
        dropped: difference(listed[index] ?? [], chosen[index] ?? []),
      })),
      kept: kept.map(({ name }) => name),
      sent: this.#sender.sent,
    };
  }

  /** Waits for what is on its way. Idempotent. */
  async close(): Promise<void> {
    this.#writer.abandon();
    await this.#sender.settle();
  }

  async #read(
    chosen: readonly (readonly CacheNode[])[],
    use: (digest: Digest, chunk: Buffer) => Promise<void>,
  ): Promise<MountRecord[]> {
    const { mounts, onProgress, signal } = this.#request;
    const total = sizeOf(chosen.flat());
    let read = 0;
    const onBytes = (size: number): void => onProgress?.((read += size), total);
    const records: MountRecord[] = [];
    for (const [index, { key, name }] of mounts.entries()) {
      const nodes = chosen[index] ?? [];
      const found = await readMount(nodes, { kernel: this.#kernel, use, onBytes, signal });
      records.push({ key, name, ...found });
    }
    return records;
  }

  /** Mounts of the target that are not here: as long as they are within the limits, too. */
  #keep(records: readonly MountRecord[]): readonly MountRecord[] {
    const { limits, previous } = this.#request;
    const keys = new Set(records.map(({ key }) => key));
    const others = previous?.set.mounts.filter(({ key }) => !keys.has(key)) ?? [];
    const since = limits.usedSince === undefined ? 0 : Number(limits.usedSince / nanosecondsOfDay);
    let left = (limits.maxSize ?? Infinity) - records.reduce((sum, { size }) => sum + size, 0);
    return [...others]
      .sort((a, b) => b.usedOn - a.usedOn)
      .filter(({ usedOn, size }) => {
        if (usedOn < since || size > left) return false;
        left -= size;
        return true;
      });
  }

  /** Sends once more what is used of worn packs; but when nothing else is new, they stay as they are. */
  async #renew(
    all: readonly MountRecord[],
    chosen: readonly (readonly CacheNode[])[],
  ): Promise<void> {
    const { previous } = this.#request;
    if (previous === undefined || this.#writer.places.size === 0) return;
    const set = this.#setOf(all);
    const worn = findWornPacks(set, this.#packSize);
    const isWorn = (digest: Digest): boolean => {
      const place = set.chunks.get(digest);
      return place !== undefined && worn.has(place.pack) && !this.#writer.has(digest);
    };
    const isNeeded = all.some(({ catalogue, contents }) =>
      [...catalogue, ...contents].some(isWorn),
    );
    if (!isNeeded) return;
    await this.#read(chosen, async (digest, chunk) => {
      if (isWorn(digest)) await this.#writer.add(digest, chunk);
    });
    await this.#writer.flush();
  }

  #setOf(mounts: readonly MountRecord[]): MountSet {
    const known = this.#request.previous?.set;
    return {
      mounts,
      chunks: new Map([...(known?.chunks ?? []), ...this.#writer.places]),
      packs: new Map([...(known?.packs ?? []), ...this.#writer.packs]),
    };
  }
}

const nanosecondsOfDay = 86_400_000_000_000n;

function sizeOf(nodes: readonly CacheNode[]): number {
  return nodes.reduce((sum, { stat }) => sum + (stat.isFile() ? Number(stat.size) : 0), 0);
}

function difference(
  before: readonly CacheNode[],
  after: readonly CacheNode[],
): ExportedMount["dropped"] {
  const files = (nodes: readonly CacheNode[]): number =>
    nodes.filter(({ stat }) => !stat.isDirectory()).length;
  return { files: files(before) - files(after), bytes: sizeOf(before) - sizeOf(after) };
}

/** The documents, and behind them the packs that were there before: an archive is written anew each time. */
function withDocuments(
  { manifest, manifestBytes, document, documentBytes }: MountDocuments,
  behind: ContentSource | undefined,
  label: string,
): ContentSource {
  const documents = new Map([
    [manifest.digest, manifestBytes],
    [document.digest, documentBytes],
  ]);
  return {
    label: behind?.label ?? label,
    resolve: () => Promise.resolve(undefined),
    fetch: async (descriptor, signal) => {
      const bytes = documents.get(descriptor.digest);
      if (bytes !== undefined) return Readable.from([bytes], { objectMode: false });
      if (behind !== undefined) return behind.fetch(descriptor, signal);
      throw new Error(`pack ${descriptor.digest} is not where it was sent`);
    },
  };
}
