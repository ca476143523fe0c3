import { Readable } from "node:stream";
import type { JobThread } from "../../core/index.ts";
import { layerError } from "../errors.ts";
import { rootPathToString } from "../paths.ts";
import type { LayerEntryWithContent } from "../types.ts";
import { fillAhead, type MissingFile, type Piece } from "./fill-ahead.ts";
import { blockSize, paddingOf } from "./format.ts";
import { readPart } from "./fill-job.ts";
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
  /** Whether a chunk is the reader's only until he asks for the next one: then its memory is used again. */
  readonly isPassing?: boolean;
}

/**
 * A layer tar of the entries in the order given: ustar, PAX only where an entry needs it, ended by two empty blocks.
 * Equal entries give equal bytes. A chunk belongs to the reader, unless `isPassing`.
 * @throws LAYER_SIZE_MISMATCH when a file's content is not `size` bytes
 */
export async function* layerTarChunks(
  entries: Entries,
  { thread, isPassing = false }: LayerTarOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const rooms = new Rooms({ isShared: thread !== undefined });
  const pieces = gather(entries, rooms);
  for await (const { bytes, room } of thread === undefined ? pieces : fillAhead(pieces, thread)) {
    yield bytes;
    if (isPassing && room !== undefined) rooms.give(room);
  }
}

/** Memory for pieces of a tar. */
class Rooms {
  /** For another thread to read files into. */
  readonly isShared: boolean;
  readonly #free: Buffer[] = [];

  constructor({ isShared }: { readonly isShared: boolean }) {
    this.isShared = isShared;
  }

  take(): Buffer {
    return this.#free.pop() ?? this.make(chunkSize);
  }

  /** Takes back what nobody reads any more. */
  give(room: Buffer): void {
    if (room.length === chunkSize) this.#free.push(room);
  }

  make(size: number): Buffer {
    return this.isShared ? Buffer.from(new SharedArrayBuffer(size)) : Buffer.allocUnsafeSlow(size);
  }
}

/** The tar in pieces. In shared memory, contents of files with a place are missing. */
async function* gather(entries: Entries, rooms: Rooms): AsyncGenerator<Piece, void, undefined> {
  const chunk = new Chunk(rooms);
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
  readonly #rooms: Rooms;
  #bytes: Buffer;
  #length = 0;
  #missing: MissingFile[] = [];

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
    this.#bytes = rooms.take();
  }

  /** Whether contents may be filled in later. */
  get isShared(): boolean {
    return this.#rooms.isShared;
  }

  /** Bytes that still fit; negative behind a header for which the chunk grew. */
  get left(): number {
    return chunkSize - this.#length;
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
    const grown = this.#rooms.make(this.#length + size + chunkSize);
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
    const room = this.#bytes;
    yield { bytes: room.subarray(0, this.#length), files: this.#missing, room };
    this.#bytes = this.#rooms.take();
    this.#length = 0;
    this.#missing = [];
  }
}

function* smallContent(
  chunk: Chunk,
  entry: LayerEntryWithContent,
): Generator<Piece, void, undefined> {
  const { read, size } = entry;
  if (!chunk.fits(size)) yield* chunk.take();
  if (chunk.isShared && entry.place !== undefined && chunk.fits(size)) {
    const fill = (place: Buffer): void => readInto(place, entry);
    chunk.reserveFor({ path: entry.place, size, from: 0, fill });
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
  if (chunk.isShared && entry.place !== undefined) return yield* partsOf(chunk, entry, entry.place);
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

/** A large file in parts, each of which is read as a small one is. */
function* partsOf(
  chunk: Chunk,
  entry: LayerEntryWithContent,
  path: Buffer,
): Generator<Piece, void, undefined> {
  for (let from = 0; from < entry.size;) {
    if (chunk.left <= 0) yield* chunk.take();
    const size = Math.min(chunk.left, entry.size - from);
    const part = { path, from, size };
    const fill = (place: Buffer): void => {
      if (!readPart(part, place)) throw sizeMismatch(entry, part.from);
    };
    chunk.reserveFor({ ...part, fill });
    from += size;
  }
}

function sizeMismatch(entry: LayerEntryWithContent, found: number): Error {
  const path = rootPathToString(entry.path);
  return layerError("LAYER_SIZE_MISMATCH", `write ${path}: its size is not what was announced`, {
    hint: "the file changed while it was read; build again when nothing writes to it",
    details: { entry: path, expected: entry.size, found },
  });
}
