import { setImmediate } from "node:timers/promises";
import type { ByteSource } from "../byte-source.ts";
import { layerError, truncated } from "../errors.ts";
import { extensionTooLarge, maxExtensionSize } from "../limits.ts";
import type { LayerEntry } from "../types.ts";
import { blockSize, fields } from "./format.ts";
import { parseNumber } from "./numbers.ts";
import { eachPaxRecord } from "./pax.ts";
import {
  contentSize,
  entryLabel,
  type Extensions,
  paxValue,
  readHeader,
  unsupported,
} from "./read-header.ts";

/**
 * A file whose holes are not in the archive: a map tells where the bytes that are stored belong, and all between them is
 * zeros. GNU tar has had four formats for it: headers of type S, and 0.0, 0.1 and 1.0 with PAX headers.
 * @see GNU tar manual, "Storing Sparse Files"
 */
export interface SparseFile {
  /** With its real name and size. */
  readonly entry: LayerEntry;
  /** Its name in errors. */
  readonly label: string;
  /** In their order, none empty; together of `storedSize` bytes. */
  readonly regions: readonly Region[];
  /** Bytes of content in the archive, but for their padding. */
  readonly storedSize: number;
  /** Bytes of the map that lay outside of PAX headers. */
  readonly mapSize: number;
}

/** In bytes of the real file. */
interface Region {
  readonly offset: number;
  readonly length: number;
}

/** One of these is in each PAX header of a sparse file; the last one is star's. */
const keywords = [
  "GNU.sparse.major",
  "GNU.sparse.size",
  "GNU.sparse.map",
  "GNU.sparse.offset",
  "SCHILY.realsize",
] as const;

/** Zeros in a piece of this length. */
const holePiece = 1024 * 1024;

const oldTypeFlag = 0x53;
const fileTypeFlag = 0x30;
/** Where a header of type S and each block that goes on with its map have regions, and the mark that another block follows. */
const oldMaps = {
  header: { start: 386, regions: 4, isExtended: 482 },
  block: { start: 0, regions: 21, isExtended: 504 },
} as const;
const oldNumberLength = 12;
const oldRealSize = 483;

export function isSparse(header: Buffer, { pax }: Extensions): boolean {
  if (header[fields.type[0]] === oldTypeFlag) return true;
  return pax.size > 0 && keywords.some((keyword) => pax.has(keyword));
}

/**
 * Reads what is between the header and the content. What is ambiguous is read as Go's readers do, and so docker.
 * @throws LAYER_HEADER_INVALID unless the map is in order, inside the file, and accounts for every byte that is stored;
 * LAYER_ENTRY_UNSUPPORTED, LAYER_LIMIT_EXCEEDED, LAYER_TRUNCATED; what `readHeader` throws
 */
export async function readSparse(
  source: ByteSource,
  header: Buffer,
  extensions: Extensions,
): Promise<SparseFile> {
  const version = versionOf(header, extensions);
  if (version === undefined) throw unsupported(header, extensions);
  const [realHeader, realExtensions] =
    version === "old" ? [asFile(header), extensions] : [header, withRealName(extensions)];
  const label = entryLabel(realHeader, realExtensions);
  const entry = readHeader(realHeader, realExtensions);
  if (entry.type !== "file") throw invalid(label, "only a file can be sparse");
  const size =
    version === "old"
      ? numberOf(parseNumber(oldNumber(header, oldRealSize)))
      : realSizeOf(extensions.pax);
  if (size === undefined) throw invalid(label, "its real size is unusable");
  const stored = contentSize(realHeader, realExtensions);
  const map = await readMap(source, { version, header: realHeader, extensions, label, stored });
  const storedSize = version === "1.0" ? stored - map.size : stored;
  const regions = checkedRegions(map.numbers, { label, size, storedSize });
  return { entry: { ...entry, size }, label, regions, storedSize, mapSize: map.size };
}

/** The whole content of a small file, given what is stored of it. */
export function fillHoles({ entry, regions }: SparseFile, stored: Buffer): Buffer {
  const content = Buffer.alloc(entry.size);
  let taken = 0;
  for (const { offset, length } of regions)
    taken += stored.copy(content, offset, taken, taken + length);
  return content;
}

/** The whole content of any file, given what is stored of it: exactly `storedSize` bytes. */
export async function* expandContent(
  { entry, regions }: SparseFile,
  stored: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  const zeros = Buffer.alloc(Math.min(entry.size, holePiece));
  const left = regions.values();
  let region = left.next().value;
  let at = 0;
  async function* holeUntil(end: number): AsyncGenerator<Buffer, void, undefined> {
    while (at < end) {
      const piece = zeros.subarray(0, Math.min(end - at, zeros.length));
      at += piece.length;
      yield piece;
      // Neither reading nor writing a hole waits for anything, and Ctrl-C would not be heard in one of gigabytes.
      await setImmediate();
    }
  }
  for await (const part of stored) {
    for (let taken = 0; region !== undefined && taken < part.length;) {
      yield* holeUntil(region.offset);
      const end = region.offset + region.length;
      const bytes = part.subarray(taken, taken + end - at);
      yield bytes;
      taken += bytes.length;
      at += bytes.length;
      if (at === end) region = left.next().value;
    }
  }
  yield* holeUntil(entry.size);
}

type Version = "old" | "0" | "1.0";

/** undefined for those that nobody knows, and for star's. */
function versionOf(header: Buffer, { pax }: Extensions): Version | undefined {
  if (header[fields.type[0]] === oldTypeFlag) {
    const [start, length] = fields.magic;
    // Star has the same type flag for other headers.
    const isGnu = header.toString("latin1", start, start + length) === "ustar  \0";
    return isGnu ? "old" : undefined;
  }
  const [major, minor] = [textOf(pax, "GNU.sparse.major"), textOf(pax, "GNU.sparse.minor")];
  if (major === "1" && minor === "0") return "1.0";
  if (major === "0" && (minor === "0" || minor === "1")) return "0";
  // The first versions did not tell that they were.
  const isUntold = major === undefined && minor === undefined;
  return isUntold && keywords.slice(1, 4).some((keyword) => pax.has(keyword)) ? "0" : undefined;
}

function asFile(header: Buffer): Buffer {
  const copy = Buffer.from(header);
  copy[fields.type[0]] = fileTypeFlag;
  return copy;
}

/** The path of versions 0.1 and 1.0 is one for readers that take the map for content. */
function withRealName(extensions: Extensions): Extensions {
  const name = paxValue(extensions.pax, "GNU.sparse.name");
  if (name === undefined) return extensions;
  return { ...extensions, pax: new Map(extensions.pax).set("path", name) };
}

function realSizeOf(pax: Extensions["pax"]): number | undefined {
  const size = textOf(pax, "GNU.sparse.size") ?? textOf(pax, "GNU.sparse.realsize");
  return size === undefined ? undefined : parseDecimal(size);
}

interface MapPlace {
  readonly version: Version;
  readonly header: Buffer;
  readonly extensions: Extensions;
  readonly label: string;
  /** Bytes that follow the header: content, and before it the map of version 1.0. */
  readonly stored: number;
}

/** Offset and length in turn; what is no number is undefined. */
type MapNumbers = readonly (number | undefined)[];

interface ReadMap {
  readonly numbers: MapNumbers;
  /** Bytes that were read for it. */
  readonly size: number;
}

async function readMap(source: ByteSource, place: MapPlace): Promise<ReadMap> {
  switch (place.version) {
    case "old":
      return readOldMap(source, place);
    case "0":
      return { numbers: mapOfRecords(place), size: 0 };
    case "1.0":
      return readMapBeforeContent(source, place);
  }
}

async function readOldMap(source: ByteSource, { header, label }: MapPlace): Promise<ReadMap> {
  const numbers: (number | undefined)[] = [];
  const takeNumbers = (block: Buffer, { start, regions }: { start: number; regions: number }) => {
    for (let index = 0; index < 2 * regions; index++) {
      const field = oldNumber(block, start + index * oldNumberLength);
      // An offset that begins with a NUL ends the block's part.
      if (index % 2 === 0 && field[0] === 0) return;
      numbers.push(numberOf(parseNumber(field)));
    }
  };
  takeNumbers(header, oldMaps.header);
  let size = 0;
  let isExtended = header[oldMaps.header.isExtended] !== 0;
  while (isExtended) {
    const block = await takeMapBlock(source, label, (size += blockSize));
    takeNumbers(block, oldMaps.block);
    isExtended = block[oldMaps.block.isExtended] !== 0;
  }
  return { numbers, size };
}

/** Decimal numbers that each end in a newline, in whole blocks: how many regions there are, then these. */
async function readMapBeforeContent(
  source: ByteSource,
  { label, stored }: MapPlace,
): Promise<ReadMap> {
  let text = "";
  let [size, found, wanted] = [0, 0, 1];
  while (found < wanted) {
    if (size + blockSize > stored) throw invalid(label, "its map is longer than what is stored");
    const block = (await takeMapBlock(source, label, (size += blockSize))).toString("latin1");
    const isFirst = found === 0;
    text += block;
    found += block.split("\n").length - 1;
    if (!isFirst || found === 0) continue;
    const count = parseDecimal(text.slice(0, text.indexOf("\n")));
    if (count === undefined) throw invalid(label, "its map is no list of numbers");
    wanted = 1 + 2 * count;
  }
  const numbers = text.split("\n", wanted).slice(1).map(parseDecimal);
  return { numbers, size };
}

/** `size` is that of the map with this block. */
async function takeMapBlock(source: ByteSource, label: string, size: number): Promise<Buffer> {
  if (size > maxExtensionSize) throw extensionTooLarge(label, size);
  const block = await source.take(blockSize);
  if (block.length < blockSize) throw truncated(label);
  return block;
}

/** Version 0.1 has one record for the map, 0.0 two records for each region. */
function mapOfRecords({ extensions, label }: MapPlace): MapNumbers {
  const { pax, paxContent = Buffer.alloc(0) } = extensions;
  const texts = pax.has("GNU.sparse.offset")
    ? mapOfPairs(paxContent, label)
    : (textOf(pax, "GNU.sparse.map")?.split(",") ?? []);
  const count = parseDecimal(textOf(pax, "GNU.sparse.numblocks") ?? "");
  if (count === undefined || texts.length !== 2 * count)
    throw invalid(label, "its map has not as many regions as it says");
  return texts.map(parseDecimal);
}

function mapOfPairs(paxContent: Buffer, label: string): readonly string[] {
  const texts: string[] = [];
  eachPaxRecord(paxContent, (keyword, value) => {
    if (keyword !== "GNU.sparse.offset" && keyword !== "GNU.sparse.numbytes") return;
    const next = texts.length % 2 === 0 ? "GNU.sparse.offset" : "GNU.sparse.numbytes";
    if (keyword !== next) throw invalid(label, "its map has an offset without a length");
    texts.push(value.toString("latin1"));
  });
  return texts;
}

function checkedRegions(
  numbers: MapNumbers,
  file: { readonly label: string; readonly size: number; readonly storedSize: number },
): Region[] {
  const { label, size, storedSize } = file;
  const regions: Region[] = [];
  let [end, total] = [0, 0];
  for (let index = 0; index < numbers.length; index += 2) {
    const [offset, length] = [numbers[index], numbers[index + 1]];
    if (offset === undefined || length === undefined)
      throw invalid(label, "its map is no list of numbers");
    if (offset < end) throw invalid(label, "its map has regions that overlap or are not in order");
    if (offset > size || length > size - offset)
      throw invalid(label, "its map leads beyond its end");
    end = offset + length;
    total += length;
    if (length > 0) regions.push({ offset, length });
  }
  if (total !== storedSize) throw invalid(label, "its map has not as many bytes as are stored");
  return regions;
}

function oldNumber(block: Buffer, start: number): Buffer {
  return block.subarray(start, start + oldNumberLength);
}

function textOf(pax: Extensions["pax"], keyword: string): string | undefined {
  return paxValue(pax, keyword)?.toString("latin1");
}

function parseDecimal(text: string): number | undefined {
  return /^\d{1,19}$/.test(text) ? numberOf(BigInt(text)) : undefined;
}

function numberOf(value: bigint | undefined): number | undefined {
  const isUsable = value !== undefined && value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER);
  return isUsable ? Number(value) : undefined;
}

function invalid(entry: string, why: string): Error {
  return layerError("LAYER_HEADER_INVALID", `read sparse layer entry ${entry}: ${why}`, {
    hint: "the archive is hostile or broken; get or make it again",
    details: { entry },
  });
}
