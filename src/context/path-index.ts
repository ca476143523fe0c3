import type { PlainFiles } from "../core/index.ts";
import type { ByteString } from "./byte-strings.ts";

const free = -1;
const noName = Buffer.alloc(0);
const nul = 0;
/** Paths lie together in pages. A whole that grew would be copied again and again, and V8 is late to let the old ones go. */
const pageSize = 64 * 1024;
const numbersInPage = 1 << 12;

/**
 * Numbers paths in the order in which they come: 0 for the first. As strings in a Map they take 120 bytes each and more,
 * and V8 lets its heap grow to a multiple of what lives in it; here each takes its own length and some 15 bytes beside.
 *
 * Whoever remembers something of a path keeps its number: so each path is in memory once.
 */
export class PathIndex {
  /** One character a byte, a NUL behind each; no path lies in two pages. */
  readonly #pages: { readonly bytes: Buffer; used: number }[];
  /** The first page, which holds what was known from the start, is as long as that. */
  readonly #firstLength: number;
  /** Where each path begins, as if all pages were one. */
  readonly #starts: Uint32Array[] = [];
  /** What each hashes to: to take it from the bytes again whenever the table grows takes longer than to grow. */
  readonly #hashes: Int32Array[] = [];
  #size = 0;
  /** Numbers of paths by their hashes; where several have the same, the next place that is free. */
  #places: Int32Array;
  /** Several things are asked about one path in a row. */
  #lastPath: ByteString | undefined;
  #lastNumber = 0;
  /** Of what was searched last. */
  #hash = 0;

  /** Of paths that are known already, as `encode` gives them. */
  constructor(paths: Buffer = Buffer.alloc(0), count = 0) {
    this.#pages = [{ bytes: paths, used: paths.length }];
    this.#firstLength = paths.length;
    this.#places = new Int32Array(placesFor(count)).fill(free);
    for (let start = 0; this.#size < count; this.#size++) {
      const hash = hashAt(paths, start);
      this.#describe(this.#size, start, hash);
      this.#place(this.#size, hash);
      start = Math.min(hashedUpTo + 1, paths.length);
    }
  }

  get size(): number {
    return this.#size;
  }

  /** The number of `path`; undefined when it has none. */
  find(path: ByteString): number | undefined {
    if (path === this.#lastPath) return this.#lastNumber;
    const number = this.#search(layOut(path));
    return number === free ? undefined : this.#remember(path, number);
  }

  /** Its number; a new one unless it has one. */
  add(path: ByteString): number {
    if (path === this.#lastPath) return this.#lastNumber;
    const length = layOut(path);
    const number = this.#search(length);
    return this.#remember(path, number === free ? this.#add(length) : number);
  }

  /** The same of files of one directory; several ask about the same ones in a row. */
  addAll(files: PlainFiles): Uint32Array {
    const { directory, names, numbers } = files;
    if (files.numberedBy === this) return numbers;
    for (let index = 0; index < names.length; index++) {
      const length = layOutIn(directory, names[index] ?? noName);
      const number = this.#search(length);
      numbers[index] = number === free ? this.#add(length) : number;
    }
    files.numberedBy = this;
    return numbers;
  }

  #remember(path: ByteString, number: number): number {
    this.#lastPath = path;
    this.#lastNumber = number;
    return number;
  }

  /** Of the path that `#search` did not find. */
  #add(length: number): number {
    const number = this.#size;
    this.#describe(number, this.#write(length), this.#hash);
    this.#size += 1;
    if (placesFor(this.#size) <= this.#places.length) this.#place(number, this.#hash);
    else this.#placeAll();
    return number;
  }

  /** Of many paths whose numbers are mostly in a row: their bytes become text together. */
  reader(): PathReader {
    let window = emptyWindow;
    return (number) => {
      const start = this.#startOf(number);
      // What is behind the window may have been written since.
      let end = start < window.start ? -1 : window.text.indexOf("\0", start - window.start);
      if (end === -1) {
        window = this.#windowFrom(start);
        end = window.text.indexOf("\0");
      }
      const path = window.text.slice(start - window.start, end === -1 ? undefined : end);
      return { path, isPlain: window.isPlain };
    };
  }

  pathOf(number: number): ByteString {
    const start = this.#startOf(number);
    const bytes = this.#pageOf(start);
    const at = this.#offsetOf(start);
    const end = bytes.indexOf(nul, at);
    return bytes.toString("latin1", at, end === -1 ? bytes.length : end);
  }

  /** All paths in the order of their numbers, a NUL behind each, in parts. */
  encode(): readonly Uint8Array[] {
    return this.#pages.map(({ bytes, used }, index) => {
      const isEnded = index > 0 || used === 0 || bytes[used - 1] === nul;
      return isEnded ? bytes.subarray(0, used) : Buffer.concat([bytes, Buffer.alloc(1)]);
    });
  }

  /** Text from the path on that begins at `start`. */
  #windowFrom(start: number): Window {
    const { bytes, used } = this.#pages[this.#pageNumberOf(start)] ?? noPage;
    const at = this.#offsetOf(start);
    const text = bytes.toString("latin1", at, Math.min(at + pageSize, used));
    return { start, text, isPlain: plainPaths.test(text) };
  }

  /** Keeps what was laid out. Where it lies now, as if all pages were one. */
  #write(pathLength: number): number {
    const length = pathLength + 1;
    let page = this.#pages.at(-1);
    if (page === undefined || this.#pages.length === 1 || page.used + length > pageSize) {
      page = { bytes: Buffer.alloc(pageSize), used: 0 };
      this.#pages.push(page);
    }
    const start = this.#firstLength + (this.#pages.length - 2) * pageSize + page.used;
    laidOut.copy(page.bytes, page.used, 0, pathLength);
    page.used += length;
    return start;
  }

  /** Where it begins, as if all pages were one. */
  #startOf(number: number): number {
    return this.#starts[number >>> 12]?.[number & (numbersInPage - 1)] ?? 0;
  }

  #pageOf(start: number): Buffer {
    return this.#pages[this.#pageNumberOf(start)]?.bytes ?? none;
  }

  #pageNumberOf(start: number): number {
    const behind = start - this.#firstLength;
    return behind < 0 ? 0 : 1 + Math.floor(behind / pageSize);
  }

  /** Where it begins in its page. */
  #offsetOf(start: number): number {
    const behind = start - this.#firstLength;
    return behind < 0 ? start : behind % pageSize;
  }

  #describe(number: number, start: number, hash: number): void {
    const page = Math.floor(number / numbersInPage);
    const starts = (this.#starts[page] ??= new Uint32Array(numbersInPage));
    const hashes = (this.#hashes[page] ??= new Int32Array(numbersInPage));
    starts[number % numbersInPage] = start;
    hashes[number % numbersInPage] = hash;
  }

  /** The number of the path that was laid out, or `free`. */
  #search(length: number): number {
    const places = this.#places;
    const mask = places.length - 1;
    const hash = hashOf(length);
    this.#hash = hash;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const number = places[place] ?? free;
      if (number === free || this.#is(number, length)) return number;
    }
  }

  /** Whether it is that of the path that was laid out. */
  #is(number: number, length: number): boolean {
    const start = this.#startOf(number);
    const bytes = this.#pageOf(start);
    const at = this.#offsetOf(start);
    if ((bytes[at + length] ?? nul) !== nul) return false;
    // From the end: paths of one directory begin alike.
    for (let index = length - 1; index >= 0; index--)
      if (bytes[at + index] !== laidOut[index]) return false;
    return true;
  }

  #placeAll(): void {
    this.#places = new Int32Array(placesFor(this.#size)).fill(free);
    for (let number = 0; number < this.#size; number++)
      this.#place(number, this.#hashes[number >>> 12]?.[number & (numbersInPage - 1)] ?? 0);
  }

  #place(number: number, hash: number): void {
    const places = this.#places;
    const mask = places.length - 1;
    let place = hash & mask;
    while (places[place] !== free) place = (place + 1) & mask;
    places[place] = number;
  }
}

/** Printable ASCII that stands for itself in JSON, in one path or in many. */
export const plainPaths = /^[\0 !#-[\]-~]*$/;

interface Window {
  /** Where it begins, as if all pages were one. */
  readonly start: number;
  readonly text: string;
  readonly isPlain: boolean;
}

const emptyWindow: Window = { start: 0, text: "", isPlain: true };

/** Tells the path of a number, and whether it surely is printable ASCII without quotes and backslashes. */
export type PathReader = (number: number) => {
  readonly path: ByteString;
  readonly isPlain: boolean;
};

const none = Buffer.alloc(0);
const noPage = { bytes: none, used: 0 };

/** A power of two; at most two of three places are taken. */
function placesFor(count: number): number {
  let places = 64;
  while (2 * places < 3 * count) places *= 2;
  return places;
}

/** Another one in each process, so that nobody can make names that all hash alike. */
const seed = Math.floor(Math.random() * 2 ** 32) | 0;

/** Where a path lies while it is looked for: as bytes, and these as words, which are hashed in a quarter of the steps. */
const laidOut = Buffer.alloc(pageSize + 4);
const words = new Int32Array(laidOut.buffer, laidOut.byteOffset, laidOut.length / 4);

/** The directory that what is laid out begins with, its words, and what they hash to; none for a path that came as a whole. */
const laidDirectory: { bytes: Buffer | undefined; words: number; hash: number } = {
  bytes: undefined,
  words: 0,
  hash: seed,
};

/** Its length. */
function layOut(path: ByteString): number {
  if (path.length >= pageSize) throw noSuchPath();
  laidDirectory.bytes = undefined;
  laidDirectory.words = 0;
  laidDirectory.hash = seed;
  return laidOut.write(path, 0, "latin1");
}

/** The same of a name in a directory, of which many follow each other. */
function layOutIn(directory: Buffer, name: Buffer): number {
  const length = directory.length + name.length;
  if (length >= pageSize) throw noSuchPath();
  if (directory !== laidDirectory.bytes) {
    laidOut.set(directory);
    laidDirectory.bytes = directory;
    laidDirectory.words = directory.length >> 2;
    laidDirectory.hash = hashWords(seed, 0, laidDirectory.words);
  }
  laidOut.set(name, directory.length);
  return length;
}

function noSuchPath(): Error {
  return new RangeError("no filesystem has such a path");
}

/** Of the path that was laid out. */
function hashOf(length: number): number {
  laidOut[length] = laidOut[length + 1] = laidOut[length + 2] = nul;
  const hash = hashWords(laidDirectory.hash, laidDirectory.words, (length + 3) >> 2);
  return hash ^ (hash >>> 13);
}

function hashWords(before: number, from: number, to: number): number {
  let hash = before;
  for (let index = from; index < to; index++) hash = mix(hash, words[index] ?? 0);
  return hash;
}

/** Where the path ends that `hashAt` has seen. */
let hashedUpTo = 0;

/** The same of a path that lies anywhere. */
function hashAt(bytes: Buffer, start: number): number {
  let [hash, word, shift] = [seed, 0, 0];
  let at = start;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? nul;
    if (byte === nul) break;
    word |= byte << shift;
    shift += 8;
    if (shift < 32) continue;
    hash = mix(hash, word);
    word = shift = 0;
  }
  hashedUpTo = at;
  if (shift > 0) hash = mix(hash, word);
  return hash ^ (hash >>> 13);
}

/** Multiplied, a word changes what is above it alone; so what is above is brought down. */
function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
