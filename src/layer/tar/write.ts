import { Readable } from "node:stream";
import type { JobThread } from "../../core/index.ts";
import { layerError } from "../errors.ts";
import { rootPathToString } from "../paths.ts";
import type { LayerEntryWithContent } from "../types.ts";
import { fillAhead, type MissingFile, type Piece } from "./fill-ahead.ts";
import { blockSize, paddingOf } from "./format.ts";
import { formatHeader } from "./write-header.ts";

/** Small pieces are gathered into chunks of at most this size: one pass through hash, pipe or compressor each. */
const chunkSize = 512 * 1024;

type Entries = AsyncIterable<LayerEntryWithContent> | Iterable<LayerEntryWithContent>;

/** `layerTarChunks` as a stream. */
export function writeLayerTar(entries: Entries): Readable {
  return Readable.from(layerTarChunks(entries), {
    objectMode: false,
    highWaterMark: 2 * chunkSize,
  });
}

export interface LayerTarOptions {
  /** Reads files that say their `place`. */
  readonly thread?: JobThread | undefined;
}

/**
 * A layer tar of the entries in the order given: ustar, PAX only where an entry needs it, ended by two empty blocks.
 * Equal entries give equal bytes. A chunk belongs to the reader.
 * @throws LAYER_SIZE_MISMATCH when a file's content is not `size` bytes
 */
export async function* layerTarChunks(
  entries: Entries,
  { thread }: LayerTarOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  if (thread !== undefined) return yield* fillAhead(gather(entries, true), thread);
  for await (const { bytes } of gather(entries, false)) yield bytes;
}

/** The tar in pieces. With `isShared`, contents of files with a place are missing in them, and the memory is shared. */
async function* gather(
  entries: Entries,
  isShared: boolean,
): AsyncGenerator<Piece, void, undefined> {
  const chunk = new Chunk(isShared);
  for await (const entry of entries) {
    const header = formatHeader(entry);
    if (!chunk.fits(header.length)) yield* chunk.take();
    chunk.add(header);
    if (entry.type !== "file" || entry.size === 0) continue;
    if (entry.read !== undefined) yield* smallContent(chunk, entry);
    else yield* largeContent(chunk, entry);
    const padding = paddingOf(entry.size);
    if (!chunk.fits(padding)) yield* chunk.take();
    chunk.add(zeros.subarray(0, padding));
  }
  if (!chunk.fits(zeros.length)) yield* chunk.take();
  chunk.add(zeros);
  yield* chunk.take();
}

const zeros = Buffer.alloc(2 * blockSize);

/** Where headers and small files are laid next to one another: files are read straight into their place. */
class Chunk {
  readonly isShared: boolean;
  #bytes: Buffer;
  #length = 0;
  #missing: MissingFile[] = [];

  constructor(isShared: boolean) {
    this.isShared = isShared;
    this.#bytes = this.#makeRoom();
  }

  fits(size: number): boolean {
    return size <= chunkSize - this.#length;
  }

  /** Larger parts than a chunk make it grow: long PAX headers. */
  add(part: Uint8Array): void {
    if (part.length > this.#bytes.length - this.#length) this.#grow(part.length);
    this.#bytes.set(part, this.#length);
    this.#length += part.length;
  }

  #grow(size: number): void {
    const room = this.#length + size + chunkSize;
    const grown = this.isShared
      ? Buffer.from(new SharedArrayBuffer(room))
      : Buffer.allocUnsafeSlow(room);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  /** A place for the next `size` bytes. */
  reserve(size: number): Buffer {
    const place = this.#bytes.subarray(this.#length, this.#length + size);
    this.#length += size;
    return place;
  }

  /** The same, to be filled later. */
  reserveFor(file: Omit<MissingFile, "at">): void {
    this.#missing.push({ ...file, at: this.#length });
    this.#length += file.size;
  }

  /** What was gathered, if anything; it is the reader's from now on. */
  *take(): Generator<Piece, void, undefined> {
    if (this.#length === 0) return;
    yield { bytes: this.#bytes.subarray(0, this.#length), files: this.#missing };
    this.#bytes = this.#makeRoom();
    this.#length = 0;
    this.#missing = [];
  }

  #makeRoom(): Buffer {
    if (this.isShared) return Buffer.from(new SharedArrayBuffer(chunkSize));
    return Buffer.allocUnsafeSlow(chunkSize);
  }
}

function* smallContent(
  chunk: Chunk,
  entry: LayerEntryWithContent,
): Generator<Piece, void, undefined> {
  const { read, size } = entry;
  if (!chunk.fits(size)) yield* chunk.take();
  if (chunk.isShared && entry.place !== undefined && chunk.fits(size)) {
    chunk.reserveFor({ path: entry.place, size, fill: (place) => readInto(place, entry) });
    return;
  }
  const place = chunk.fits(size) ? chunk.reserve(size) : undefined;
  const content = read?.(place) ?? zeros.subarray(0, 0);
  if (content.length !== size) throw sizeMismatch(entry, content.length);
  if (place === undefined) yield { bytes: content, files: [] };
  else if (content !== place) place.set(content);
}

function readInto(place: Buffer, entry: LayerEntryWithContent): void {
  const content = entry.read?.(place) ?? zeros.subarray(0, 0);
  if (content.length !== entry.size) throw sizeMismatch(entry, content.length);
  if (content !== place) place.set(content);
}

async function* largeContent(
  chunk: Chunk,
  entry: LayerEntryWithContent,
): AsyncGenerator<Piece, void, undefined> {
  if (entry.open === undefined) throw sizeMismatch(entry, 0);
  let found = 0;
  for await (const part of entry.open() as AsyncIterable<Buffer>) {
    found += part.length;
    if (found > entry.size) throw sizeMismatch(entry, found);
    if (chunk.fits(part.length)) {
      chunk.add(part);
      continue;
    }
    yield* chunk.take();
    yield { bytes: part, files: [] };
  }
  if (found !== entry.size) throw sizeMismatch(entry, found);
}

function sizeMismatch(entry: LayerEntryWithContent, found: number): Error {
  const path = rootPathToString(entry.path);
  return layerError("LAYER_SIZE_MISMATCH", `write ${path}: its size is not what was announced`, {
    hint: "the file changed while it was read; build again when nothing writes to it",
    details: { entry: path, expected: entry.size, found },
  });
}
