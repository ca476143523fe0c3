import { setImmediate as breathe } from "node:timers/promises";
import { digestOf, type Digest, type Syscalls } from "../core/index.ts";
import { formatHeader } from "../layer/index.ts";
import { ContentCutter } from "./cutter.ts";
import { cacheMountError } from "./errors.ts";
import { dayOf, lastUse, type CacheNode } from "./list-tree.ts";
import { CacheReader, ShrunkenFile } from "./read-files.ts";
import type { MountRecord } from "./types.ts";

export interface ReadMountOptions {
  readonly kernel: Syscalls;
  /** Gets each chunk, of the catalogue and of contents, as it is cut. */
  readonly use: (digest: Digest, chunk: Buffer) => Promise<void>;
  readonly onBytes?: ((size: number) => void) | undefined;
  readonly signal: AbortSignal;
}

/** How often a cache is read when its files become shorter meanwhile. */
const attempts = 3;

/**
 * Reads the nodes of a cache as two streams and cuts them: its catalogue, the headers of a tar, and the contents of its
 * files. They are kept apart so that a file that was only touched moves a few bytes of the catalogue and no content.
 * @throws CACHE_MOUNTS_CHANGING
 */
export async function readMount(
  nodes: readonly CacheNode[],
  options: ReadMountOptions,
): Promise<Omit<MountRecord, "key" | "name">> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await new MountReading(options).run(nodes);
    } catch (error) {
      if (!(error instanceof ShrunkenFile)) throw error;
      if (attempt >= attempts) throw changing(error);
    }
  }
}

class MountReading {
  readonly #options: ReadMountOptions;
  readonly #catalogue: ChunkList;
  readonly #contents: ChunkList;

  constructor(options: ReadMountOptions) {
    this.#options = options;
    this.#catalogue = new ChunkList(options.use);
    this.#contents = new ChunkList(options.use);
  }

  async run(nodes: readonly CacheNode[]): Promise<Omit<MountRecord, "key" | "name">> {
    const { kernel, signal } = this.#options;
    let files = 0;
    let size = 0;
    let count = 0;
    await new CacheReader(kernel).read(nodes, async ({ entry, content }) => {
      if (++count % 64 === 0) await breathe();
      signal.throwIfAborted();
      await this.#catalogue.add(formatHeader(entry));
      if (entry.type !== "directory") files += 1;
      size += entry.size;
      for (const piece of content?.() ?? []) await this.#addContent(piece);
    });
    await this.#catalogue.add(endOfTar);
    await this.#catalogue.finish();
    await this.#contents.finish();
    const [catalogue, contents] = [this.#catalogue.digests, this.#contents.digests];
    return { files, size, usedOn: dayOfLastUse(nodes), catalogue, contents };
  }

  async #addContent(piece: Buffer): Promise<void> {
    await this.#contents.add(piece);
    this.#options.onBytes?.(piece.length);
  }
}

const endOfTar = Buffer.alloc(1024);

/** A stream on its way into chunks. */
class ChunkList {
  readonly digests: Digest[] = [];
  readonly #cutter = new ContentCutter();
  readonly #use: ReadMountOptions["use"];

  constructor(use: ReadMountOptions["use"]) {
    this.#use = use;
  }

  async add(bytes: Buffer): Promise<void> {
    for (const chunk of this.#cutter.push(bytes)) await this.#tell(chunk);
  }

  async finish(): Promise<void> {
    for (const chunk of this.#cutter.finish()) await this.#tell(chunk);
  }

  async #tell(chunk: Buffer): Promise<void> {
    const digest = digestOf(chunk);
    this.digests.push(digest);
    await this.#use(digest, chunk);
  }
}

function dayOfLastUse(nodes: readonly CacheNode[]): number {
  const days = nodes.map(({ stat }) => (stat.isFile() ? dayOf(lastUse(stat)) : 0));
  return days.reduce((latest, day) => Math.max(latest, day), 0);
}

function changing(cause: unknown): Error {
  return cacheMountError(
    "CACHE_MOUNTS_CHANGING",
    "read a cache mount: its files become shorter while they are read",
    { hint: "export it when no build uses it, or let its mounts say sharing=locked", cause },
  );
}
