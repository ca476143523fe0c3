import type { ByteString } from "./byte-strings.ts";

const free = -1;
const nul = 0;
/** Paths lie together in pages. A whole that grew would be copied again and again, and V8 is late to let the old ones go. */
const pageSize = 64 * 1024;
const numbersInPage = 4096;

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
  #size = 0;
  /** Numbers of paths by their hashes; where several have the same, the next place that is free. */
  #places: Int32Array;
  /** Several things are asked about one path in a row. */
  #lastPath: ByteString | undefined;
  #lastPlace = 0;

  /** Of paths that are known already, as `encode` gives them. */
  constructor(paths: Buffer = Buffer.alloc(0), count = 0) {
    this.#pages = [{ bytes: paths, used: paths.length }];
    this.#firstLength = paths.length;
    this.#places = new Int32Array(placesFor(count)).fill(free);
    for (let start = 0; this.#size < count; this.#size++) {
      this.#setStart(this.#size, start);
      const end = paths.indexOf(nul, start);
      start = end === -1 ? paths.length : end + 1;
    }
    this.#placeAll();
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
    this.#setStart(number, this.#write(path));
    this.#places[place] = number;
    this.#size += 1;
    if (placesFor(this.#size) > this.#places.length) {
      this.#places = new Int32Array(placesFor(this.#size)).fill(free);
      this.#placeAll();
    }
    return number;
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

  /** Where it lies now, as if all pages were one. */
  #write(path: ByteString): number {
    const length = path.length + 1;
    if (length > pageSize) throw new RangeError("no filesystem has such a path");
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
    return this.#starts[Math.floor(number / numbersInPage)]?.[number % numbersInPage] ?? 0;
  }

  #pageOf(start: number): Buffer {
    const behind = start - this.#firstLength;
    const index = behind < 0 ? 0 : 1 + Math.floor(behind / pageSize);
    return this.#pages[index]?.bytes ?? none;
  }

  /** Where it begins in its page. */
  #offsetOf(start: number): number {
    const behind = start - this.#firstLength;
    return behind < 0 ? start : behind % pageSize;
  }

  #setStart(number: number, start: number): void {
    const page = Math.floor(number / numbersInPage);
    const starts = (this.#starts[page] ??= new Uint32Array(numbersInPage));
    starts[number % numbersInPage] = start;
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
    const mask = this.#places.length - 1;
    let hash = seed;
    for (let at = 0; at < path.length; at++) hash = mix(hash, path.charCodeAt(at));
    for (let place = spread(hash) & mask; ; place = (place + 1) & mask) {
      const number = this.#places[place] ?? free;
      if (number === free || this.#is(number, path)) return place;
    }
  }

  #is(number: number, path: ByteString): boolean {
    const start = this.#startOf(number);
    const bytes = this.#pageOf(start);
    const at = this.#offsetOf(start);
    if ((bytes[at + path.length] ?? nul) !== nul) return false;
    // From the end: paths of one directory begin alike.
    for (let index = path.length - 1; index >= 0; index--)
      if (bytes[at + index] !== path.charCodeAt(index)) return false;
    return true;
  }

  #placeAll(): void {
    this.#lastPath = undefined;
    const mask = this.#places.length - 1;
    for (let number = 0; number < this.#size; number++) {
      const start = this.#startOf(number);
      const bytes = this.#pageOf(start);
      const at = this.#offsetOf(start);
      let hash = seed;
      for (let end = at; (bytes[end] ?? nul) !== nul; end++) hash = mix(hash, bytes[end] ?? nul);
      let place = spread(hash) & mask;
      while (this.#places[place] !== free) place = (place + 1) & mask;
      this.#places[place] = number;
    }
  }
}

const none = Buffer.alloc(0);

/** A power of two; at most two of three places are taken. */
function placesFor(count: number): number {
  let places = 64;
  while (2 * places < 3 * count) places *= 2;
  return places;
}

/** Another one in each process, so that nobody can make names that all hash alike. */
const seed = Math.floor(Math.random() * 2 ** 32) | 0;

/** FNV-1a. */
function mix(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}
