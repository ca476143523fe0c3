import { Readable } from "node:stream";
import { layerError } from "../errors.ts";
import { rootPathToString } from "../paths.ts";
import type { LayerEntryWithContent } from "../types.ts";
import { blockSize, paddingOf } from "./format.ts";
import { formatHeader } from "./write-header.ts";

/** Small pieces are gathered into chunks of about this size: one pass through hash, pipe or compressor each. */
const chunkSize = 256 * 1024;

type Entries = AsyncIterable<LayerEntryWithContent> | Iterable<LayerEntryWithContent>;

/** `layerTarChunks` as a stream. */
export function writeLayerTar(entries: Entries): Readable {
  return Readable.from(layerTarChunks(entries), {
    objectMode: false,
    highWaterMark: 4 * chunkSize,
  });
}

/**
 * A layer tar of the entries in the order given: ustar, PAX only where an entry needs it, ended by two empty blocks.
 * Equal entries give equal bytes. A chunk belongs to the reader.
 * @throws LAYER_SIZE_MISMATCH when a file's content is not `size` bytes
 */
export async function* layerTarChunks(entries: Entries): AsyncGenerator<Buffer, void, undefined> {
  const gathered = new Gathered();
  for await (const entry of entries) {
    gathered.add(formatHeader(entry));
    if (entry.type === "file" && entry.size > 0) {
      if (entry.read !== undefined) gathered.add(exactly(entry, entry.read()));
      else yield* largeContent(gathered, entry);
      gathered.add(zeros.subarray(0, paddingOf(entry.size)));
    }
    if (gathered.size >= chunkSize) yield gathered.take();
  }
  gathered.add(zeros);
  yield gathered.take();
}

const zeros = Buffer.alloc(2 * blockSize);

class Gathered {
  #parts: Buffer[] = [];
  size = 0;

  add(part: Buffer): void {
    this.#parts.push(part);
    this.size += part.length;
  }

  take(): Buffer {
    const chunk = Buffer.concat(this.#parts, this.size);
    this.#parts = [];
    this.size = 0;
    return chunk;
  }
}

async function* largeContent(
  gathered: Gathered,
  entry: LayerEntryWithContent,
): AsyncGenerator<Buffer, void, undefined> {
  if (entry.open === undefined) throw sizeMismatch(entry, 0);
  let found = 0;
  for await (const part of entry.open() as AsyncIterable<Buffer>) {
    found += part.length;
    if (found > entry.size) throw sizeMismatch(entry, found);
    if (gathered.size + part.length < chunkSize) {
      gathered.add(part);
      continue;
    }
    if (gathered.size > 0) yield gathered.take();
    yield part;
  }
  if (found !== entry.size) throw sizeMismatch(entry, found);
}

function exactly(entry: LayerEntryWithContent, content: Buffer): Buffer {
  if (content.length !== entry.size) throw sizeMismatch(entry, content.length);
  return content;
}

function sizeMismatch(entry: LayerEntryWithContent, found: number): Error {
  const path = rootPathToString(entry.path);
  return layerError("LAYER_SIZE_MISMATCH", `write ${path}: its size is not what was announced`, {
    hint: "the file changed while it was read; build again when nothing writes to it",
    details: { entry: path, expected: entry.size, found },
  });
}
