import { Readable } from "node:stream";
import { ByteSource } from "../byte-source.ts";
import { layerError, truncated } from "../errors.ts";
import {
  type ArchiveLimits,
  archiveLimits,
  beyondLimit,
  extensionTooLarge,
  maxExtensionSize,
} from "../limits.ts";
import type { LayerEntry, LayerEntryWithContent } from "../types.ts";
import { blockSize, paddingOf } from "./format.ts";
import { parsePax } from "./pax.ts";
import {
  contentSize,
  entryLabel,
  type Extensions,
  isZeroBlock,
  readHeader,
  typeFlag,
  unsupported,
  untilNul,
  verifyChecksum,
} from "./read-header.ts";
import { expandContent, fillHoles, isSparse, readSparse, type SparseFile } from "./sparse.ts";

/** Up to here content is handed over in one piece. */
const smallFile = 1024 * 1024;
const noLimits: ArchiveLimits = {
  bytes: Infinity,
  entries: Infinity,
  extensionBytes: Infinity,
};
const noExtensions: Extensions = { pax: new Map() };

export interface ReadLayerTarOptions {
  /** LAYER_LIMIT_EXCEEDED beyond so many entries; by default as `archiveLimits` says. */
  readonly maxEntries?: number;
  /** The tar holds headers only: contents of files are kept somewhere else. Entries of files can then not be read. */
  readonly contentsElsewhere?: boolean;
  /** It was written here: it may be as long as it is. */
  readonly isOurs?: boolean;
}

/**
 * The entries of a layer tar in their order, paths cleaned, whiteouts by their tar names. Reads v7, ustar, PAX, GNU and
 * star headers, and GNU's sparse files as what they stand for; the input is read to its end, what follows the end mark included. Stopping early destroys it.
 *
 * Numeric owners only; global PAX headers are ignored, as all builders do.
 * @see OCI image spec, layer.md
 * @throws LAYER_TRUNCATED, LAYER_HEADER_INVALID, LAYER_PATH_ESCAPES, LAYER_PATH_INVALID, LAYER_ENTRY_UNSUPPORTED,
 * LAYER_LIMIT_EXCEEDED
 */
export async function* readLayerTar(
  input: AsyncIterable<Uint8Array>,
  options: ReadLayerTarOptions = {},
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const limits = options.isOurs === true ? noLimits : archiveLimits();
  const { maxEntries = limits.entries, contentsElsewhere = false } = options;
  const source = new ByteSource(input);
  let extensions = noExtensions;
  let count = 0;
  let extensionBytes = 0;
  let sparseBytes = 0;
  try {
    for (;;) {
      const header = source.takeNow(blockSize) ?? (await source.take(blockSize));
      if (header.length === 0 && extensions === noExtensions) return;
      if (header.length < blockSize) throw truncated("a header");
      if (isZeroBlock(header) && extensions === noExtensions) return await finish(source);
      if (isZeroBlock(header)) throw truncated("an entry");
      verifyChecksum(header);
      const extended = await readExtension(source, header, extensions);
      if (extended !== undefined) {
        extensions = extended;
        extensionBytes += blockSize + contentSize(header, noExtensions);
        if (extensionBytes > limits.extensionBytes) throw tooMuchMetadata(limits.extensionBytes);
        continue;
      }
      if (++count > maxEntries) throw tooMany(maxEntries);
      if (isSparse(header, extensions)) {
        if (contentsElsewhere) throw unsupported(header, extensions);
        const file = await readSparse(source, header, extensions);
        extensionBytes += file.mapSize;
        if (extensionBytes > limits.extensionBytes) throw tooMuchMetadata(limits.extensionBytes);
        sparseBytes += file.entry.size;
        if (sparseBytes > limits.bytes) throw tooSparse(file.label, limits.bytes);
        yield* readSparseEntry(source, file);
      } else if (contentsElsewhere) yield readHeader(header, extensions);
      else yield* readEntry(source, header, extensions);
      extensions = noExtensions;
    }
  } finally {
    await source.close();
  }
}

/** After a first zero block comes a second, or nothing; what follows may be padding of any length. */
async function finish(source: ByteSource): Promise<void> {
  const second = await source.take(blockSize);
  if (second.length === blockSize && !isZeroBlock(second))
    throw layerError("LAYER_HEADER_INVALID", "read tar: an empty block between entries");
  while ((await source.takeSome(Infinity)) !== undefined);
}

/** Takes headers that only say something about the next one; undefined when this is an entry itself. */
async function readExtension(
  source: ByteSource,
  header: Buffer,
  extensions: Extensions,
): Promise<Extensions | undefined> {
  const flag = typeFlag(header);
  switch (flag) {
    case "x": {
      const paxContent = await readMetadata(source, header);
      return { ...extensions, pax: parsePax(paxContent), paxContent };
    }
    case "L":
      return { ...extensions, longName: untilNul(await readMetadata(source, header)) };
    case "K":
      return { ...extensions, longLink: untilNul(await readMetadata(source, header)) };
    case "g": // A global PAX header, for example git's commit.
    case "V": // GNU's volume label.
      await readMetadata(source, header);
      return extensions;
    default:
      return undefined;
  }
}

async function readMetadata(source: ByteSource, header: Buffer): Promise<Buffer> {
  const size = contentSize(header, noExtensions);
  const label = entryLabel(header, noExtensions);
  if (size > maxExtensionSize) throw extensionTooLarge(label, size);
  const content = Buffer.from(await source.take(size));
  if (content.length < size || !(await skipExactly(source, paddingOf(size))))
    throw truncated(label);
  return content;
}

/** Yields the one entry, then leaves the source behind its content, whether or not anybody read it. */
async function* readEntry(
  source: ByteSource,
  header: Buffer,
  extensions: Extensions,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const entry = readHeader(header, extensions);
  if (entry.type !== "file") {
    yield entry;
    return;
  }
  const { size } = entry;
  const label = entryLabel(header, extensions);
  if (size <= smallFile) {
    const content = source.takeNow(size) ?? (await source.take(size));
    if (content.length < size) throw truncated(label);
    yield { ...entry, read: () => content, open: () => streamOf(content) };
  } else {
    yield* readLargeFile(source, entry, label);
  }
  const padding = paddingOf(size);
  if (source.takeNow(padding) === undefined && !(await skipExactly(source, padding)))
    throw truncated(label);
}

/** The same of a file whose holes are not in the archive. */
async function* readSparseEntry(
  source: ByteSource,
  file: SparseFile,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const { entry, label, storedSize } = file;
  if (entry.size <= smallFile) {
    const stored = await source.take(storedSize);
    if (stored.length < storedSize) throw truncated(label);
    const content = fillHoles(file, stored);
    yield { ...entry, read: () => content, open: () => streamOf(content) };
  } else {
    yield* readLargeFile(source, entry, label, file);
  }
  if (!(await skipExactly(source, paddingOf(storedSize)))) throw truncated(label);
}

async function* readLargeFile(
  source: ByteSource,
  entry: LayerEntry,
  label: string,
  sparse?: SparseFile,
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  let left = sparse?.storedSize ?? entry.size;
  async function* content(): AsyncGenerator<Buffer, void, undefined> {
    while (left > 0) {
      const part = await source.takeSome(left);
      if (part === undefined) throw truncated(label);
      left -= part.length;
      yield part;
    }
  }
  let stream: Readable | undefined;
  const open = (): Readable => {
    const parts = sparse === undefined ? content() : expandContent(sparse, content());
    return (stream = Readable.from(parts, { objectMode: false, highWaterMark: 1 << 20 }));
  };
  yield { ...entry, open };
  // A stream that was dropped in the middle must not take from the source while the rest is skipped.
  stream?.destroy();
  if (!(await skipExactly(source, left))) throw truncated(label);
}

async function skipExactly(source: ByteSource, size: number): Promise<boolean> {
  return (await source.skip(size)) === size;
}

function streamOf(content: Buffer): Readable {
  return Readable.from(content.length === 0 ? [] : [content], { objectMode: false });
}

function tooMany(limit: number): Error {
  const setting = "TSBUILD_MAX_ENTRIES";
  return beyondLimit(`it has more than ${String(limit)} entries`, { value: limit, setting });
}

function tooMuchMetadata(limit: number): Error {
  return beyondLimit(`it has more than ${String(limit)} bytes of names and attributes`, {
    value: limit,
  });
}

function tooSparse(entry: string, limit: number): Error {
  const setting = "TSBUILD_MAX_UNPACKED_SIZE";
  const what = `with ${entry} its sparse files have more than ${String(limit)} bytes`;
  return beyondLimit(what, { value: limit, setting });
}
