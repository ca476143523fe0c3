import type { ByteString } from "./byte-strings.ts";

const free = -1;
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
  #lastPlace = 0;
  #lastHash = 0;

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
    const number = this.#places[this.#placeOf(path)] ?? free;
    return number === free ? undefined : number;
  }

  /** Its number; a new one unless it has one. */
  add(path: ByteString): number {
    const place = this.#placeOf(path);
    const known = this.#places[place] ?? free;
    if (known !== free) return known;
    const number = this.#size;
    this.#describe(number, this.#write(path), this.#lastHash);
    this.#places[place] = number;
    this.#size += 1;
    if (placesFor(this.#size) > this.#places.length) {
      this.#places = new Int32Array(placesFor(this.#size)).fill(free);
      this.#placeAll();
    }
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

  /** Where it lies now, as if all pages were one. */
  #write(path: ByteString): number {
    const length = path.length + 1;
    let page = this.#pages.at(-1);
    if (page === undefined || this.#pages.length === 1 || page.used + length > pageSize) {
      page = { bytes: Buffer.alloc(pageSize), used: 0 };
      this.#pages.push(page);
    }
    const start = this.#firstLength + (this.#pages.length - 2) * pageSize + page.used;
    page.bytes.write(path, page.used, "latin1");
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

  /** Where its number stands, or could stand. */
  #placeOf(path: ByteString): number {
    if (path !== this.#lastPath) {
      this.#lastPlace = this.#search(path);
      this.#lastPath = path;
    }
    return this.#lastPlace;
  }

  #search(path: ByteString): number {
    const places = this.#places;
    const mask = places.length - 1;
    const length = layOut(path);
    const hash = hashOf(length);
    this.#lastHash = hash;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const number = places[place] ?? free;
      if (number === free || this.#is(number, length)) return place;
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
    this.#lastPath = undefined;
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

/** Its length. */
function layOut(path: ByteString): number {
  if (path.length >= pageSize) throw new RangeError("no filesystem has such a path");
  return laidOut.write(path, 0, "latin1");
}

/** Of the path that was laid out. */
function hashOf(length: number): number {
  laidOut[length] = laidOut[length + 1] = laidOut[length + 2] = nul;
  let hash = seed;
  for (let index = 0; 4 * index < length; index++) hash = mix(hash, words[index] ?? 0);
  return hash ^ (hash >>> 13);
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
