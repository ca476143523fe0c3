import type { ByteString } from "./byte-strings.ts";

const free = -1;
const nul = 0;

/**
 * Numbers paths in the order in which they come: 0 for the first. As strings in a Map they take 120 bytes each and more,
 * and V8 lets its heap grow to a multiple of what lives in it; here each takes its own length and some 20 bytes beside.
 */
export class PathIndex {
  /** One character a byte, a NUL between two. */
  #bytes: Buffer;
  /** Where each path ends. */
  #ends: Uint32Array;
  #size = 0;
  /** Numbers of paths by their hashes; where several have the same, the next place that is free. */
  #places: Int32Array;

  /** Of paths that are known already, as `encode` gives them; it may write to this memory. */
  constructor(paths: Buffer = Buffer.alloc(0), count = 0) {
    this.#bytes = paths;
    this.#ends = new Uint32Array(Math.max(count, 16));
    this.#places = new Int32Array(placesFor(count)).fill(free);
    for (let start = 0; this.#size < count; start = this.#startOf(this.#size)) {
      const end = paths.indexOf(nul, start);
      this.#ends[this.#size++] = end === -1 ? paths.length : end;
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
    const start = this.#startOf(number);
    this.#reserve(number + 1, start + path.length);
    if (start > 0) this.#bytes[start - 1] = nul;
    this.#bytes.write(path, start, "latin1");
    this.#ends[number] = start + path.length;
    this.#places[place] = number;
    this.#size += 1;
    if (placesFor(this.#size) > this.#places.length) {
      this.#places = new Int32Array(placesFor(this.#size)).fill(free);
      this.#placeAll();
    }
    return number;
  }

  pathOf(number: number): ByteString {
    return this.#bytes.toString("latin1", this.#startOf(number), this.#ends[number] ?? 0);
  }

  /** All paths in the order of their numbers, separated by NUL. */
  encode(): Buffer {
    return this.#bytes.subarray(0, Math.max(this.#startOf(this.#size) - 1, 0));
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : (this.#ends[number - 1] ?? 0) + 1;
  }

  /** Where its number stands, or could stand. */
  #placeOf(path: ByteString): number {
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
    if ((this.#ends[number] ?? 0) - start !== path.length) return false;
    // From the end: paths of one directory begin alike.
    for (let at = path.length - 1; at >= 0; at--)
      if (this.#bytes[start + at] !== path.charCodeAt(at)) return false;
    return true;
  }

  #placeAll(): void {
    const mask = this.#places.length - 1;
    for (let number = 0; number < this.#size; number++) {
      const end = this.#ends[number] ?? 0;
      let hash = seed;
      for (let at = this.#startOf(number); at < end; at++) hash = mix(hash, this.#bytes[at] ?? 0);
      let place = spread(hash) & mask;
      while (this.#places[place] !== free) place = (place + 1) & mask;
      this.#places[place] = number;
    }
  }

  /** Half as much again where there is too little: what is not used yet is memory, too. */
  #reserve(paths: number, bytes: number): void {
    if (paths > this.#ends.length) {
      const ends = new Uint32Array(Math.ceil(1.5 * paths));
      ends.set(this.#ends);
      this.#ends = ends;
    }
    if (bytes > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(4096, Math.ceil(1.5 * bytes)));
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
  }
}

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
