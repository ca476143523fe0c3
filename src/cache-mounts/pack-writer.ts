import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Digester, type Digest } from "../core/index.ts";
import type { Descriptor } from "../image/index.ts";
import { compressChunk } from "./chunk-compression.ts";
import { packType } from "./mount-set.ts";
import type { ChunkPlace } from "./types.ts";

/** A pack that is whole, in a file of its own. */
export interface WrittenPack {
  readonly descriptor: Descriptor;
  /** Absolute; the receiver removes it. */
  readonly path: string;
}

export interface PackWriterOptions {
  /** A folder for packs on their way. */
  readonly directory: string;
  /** Bytes from which on a pack is whole. */
  readonly packSize: number;
  /** Takes a pack away; the next one is written when this is resolved. */
  readonly send: (pack: WrittenPack) => Promise<void>;
}

interface OpenPack {
  readonly fd: number;
  readonly path: string;
  readonly digester: Digester;
  readonly chunks: { readonly digest: Digest; readonly place: Omit<ChunkPlace, "pack"> }[];
}

/** Chunks that are compressed at the same time, on threads of the pool, or wait to be written. */
const ahead = 8;

/** Lays new chunks into packs: compressed, in the order in which they come, so that what was read together is together. */
export class PackWriter {
  /** Where everything is that was written so far, in packs that are whole. */
  readonly places = new Map<Digest, ChunkPlace>();
  readonly packs = new Map<Digest, Descriptor>();
  readonly #options: PackWriterOptions;
  readonly #begun = new Set<Digest>();
  readonly #waiting: Promise<{ readonly digest: Digest; size: number; stored: Buffer }>[] = [];
  #pack: OpenPack | undefined;
  #count = 0;

  constructor(options: PackWriterOptions) {
    this.#options = options;
  }

  /** Whether a chunk was added before. */
  has(digest: Digest): boolean {
    return this.#begun.has(digest);
  }

  /** Adds a chunk that is not there yet. */
  async add(digest: Digest, content: Buffer): Promise<void> {
    this.#begun.add(digest);
    const { length: size } = content;
    const work = compressChunk(content).then((stored) => ({ digest, size, stored }));
    // Told when its turn comes.
    work.catch(() => undefined);
    this.#waiting.push(work);
    if (this.#waiting.length > ahead) await this.#writeFirst();
  }

  /** Writes and sends what is left. More may be added afterwards. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeFirst();
    await this.#closePack();
  }

  /** Lets go of the file that is being written. */
  abandon(): void {
    if (this.#pack !== undefined) closeSync(this.#pack.fd);
    this.#pack = undefined;
  }

  async #writeFirst(): Promise<void> {
    const first = await this.#waiting.shift();
    if (first === undefined) return;
    const { digest, size, stored } = first;
    const pack = (this.#pack ??= this.#openPack());
    const offset = pack.digester.size;
    pack.chunks.push({ digest, place: { offset, stored: stored.length, size } });
    writeAll(pack.fd, stored);
    pack.digester.update(stored);
    if (pack.digester.size >= this.#options.packSize) await this.#closePack();
  }

  #openPack(): OpenPack {
    const path = join(this.#options.directory, `pack-${String(this.#count++)}`);
    return { fd: openSync(path, "wx", 0o600), path, digester: new Digester(), chunks: [] };
  }

  async #closePack(): Promise<void> {
    const pack = this.#pack;
    if (pack === undefined) return;
    this.#pack = undefined;
    closeSync(pack.fd);
    const { size } = pack.digester;
    const digest = pack.digester.digest();
    const descriptor = { mediaType: packType, digest, size };
    for (const { digest: chunk, place } of pack.chunks) {
      this.places.set(chunk, { ...place, pack: digest });
    }
    this.packs.set(digest, descriptor);
    await this.#options.send({ descriptor, path: pack.path });
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(fd, bytes, written, bytes.length - written);
  }
}
