/** Something to look for: bytes, and what whoever looks wants to know of them. */
export interface IndexedPattern {
  readonly bytes: Buffer;
  /** Whether line breaks and blanks may stand between its bytes. */
  readonly isBroken: boolean;
}

/** A place where a pattern stands, from `start` up to but not including `end`. */
export interface Found<P extends IndexedPattern> {
  readonly pattern: P;
  readonly start: number;
  readonly end: number;
}

/** Bytes of a pattern by which it is found; every pattern has as many. */
export const anchorSize = 8;
const blockSize = 3;
/** With fewer, other texts are taken for patterns too often; with more, the table leaves the nearest cache. */
const hashes = 0x8000;
const mostShift = anchorSize - blockSize + 1;

interface Anchor {
  readonly bytes: Buffer;
  /** Position in the list of patterns. */
  readonly pattern: number;
  /** Byte of the pattern at which it begins. */
  readonly offset: number;
}

/**
 * Looks for many patterns at once in the manner of Wu and Manber: of eight bytes of each pattern it is known which three
 * can stand in them and how far from their end, so most of a text is passed over five or six bytes at a time. Hundreds of
 * patterns take about as long as one. (Node's own search takes one pattern, and the text once for each.)
 */
export class PatternIndex<P extends IndexedPattern> {
  /** Bytes in which every pattern fits, with the line breaks that encoders put into it. */
  readonly longest: number;
  readonly #patterns: readonly P[];
  readonly #shifts = new Uint8Array(hashes).fill(mostShift);
  readonly #anchors = new Map<number, Anchor[]>();

  /** Each pattern has at least {@link anchorSize} bytes. */
  constructor(patterns: readonly P[]) {
    this.#patterns = patterns;
    this.longest = patterns.reduce((most, pattern) => Math.max(most, spanOf(pattern)), 0);
    for (const [index, pattern] of patterns.entries()) {
      for (const anchor of anchorsOf(pattern, index)) this.#add(anchor);
    }
  }

  /** Every place in `text`; places of different patterns may overlap. */
  find(text: Uint8Array, onFound: (found: Found<P>) => void): void {
    const shifts = this.#shifts;
    for (let last = anchorSize - 1; last < text.length;) {
      const hash = hashAt(text, last);
      const shift = shifts[hash] ?? 0;
      if (shift === 0) {
        this.#verifyAll(text, { hash, start: last - anchorSize + 1 }, onFound);
        last += 1;
      } else last += shift;
    }
  }

  #add(anchor: Anchor): void {
    const { bytes } = anchor;
    for (let last = blockSize - 1; last < anchorSize; last++) {
      const hash = hashAt(bytes, last);
      const shift = anchorSize - 1 - last;
      this.#shifts[hash] = Math.min(this.#shifts[hash] ?? 0, shift);
      if (shift > 0) continue;
      const known = this.#anchors.get(hash);
      if (known === undefined) this.#anchors.set(hash, [anchor]);
      else known.push(anchor);
    }
  }

  #verifyAll(
    text: Uint8Array,
    place: { readonly hash: number; readonly start: number },
    onFound: (found: Found<P>) => void,
  ): void {
    for (const anchor of this.#anchors.get(place.hash) ?? []) {
      if (!standsAt(anchor.bytes, text, place.start)) continue;
      const pattern = this.#patterns[anchor.pattern];
      if (pattern === undefined) continue;
      const end = matchForward(pattern, text, { at: place.start, from: anchor.offset });
      const start = matchBackward(pattern, text, { at: place.start, from: anchor.offset });
      if (end !== undefined && start !== undefined) onFound({ pattern, start, end });
    }
  }
}

/** Of three bytes, the last of which is at `last`. */
function hashAt(bytes: Uint8Array, last: number): number {
  const hash = ((bytes[last - 2] ?? 0) << 7) ^ ((bytes[last - 1] ?? 0) << 3) ^ (bytes[last] ?? 0);
  return hash & (hashes - 1);
}

/** A line break of encoders stands at most every 40 characters, here with room for an indented block. */
function spanOf({ bytes, isBroken }: IndexedPattern): number {
  return isBroken ? Math.ceil(bytes.length * 1.5) + 16 : bytes.length;
}

/**
 * One anchor finds what is in one piece. What a line break may split has two, of which one is whole in lines of twice
 * their length; where it is too short for that, one with each kind of line break at each place.
 */
function anchorsOf({ bytes, isBroken }: IndexedPattern, pattern: number): readonly Anchor[] {
  const at = (offset: number): Anchor => ({
    bytes: bytes.subarray(offset, offset + anchorSize),
    pattern,
    offset,
  });
  if (!isBroken) return [at(mostDiverse(bytes))];
  if (bytes.length > 2 * anchorSize) return [at(0), at(anchorSize)];
  const broken = lineBreaks.flatMap((lineBreak) =>
    Array.from({ length: anchorSize - 1 }, (_, index) => ({
      bytes: Buffer.concat(
        [bytes.subarray(0, index + 1), lineBreak, bytes.subarray(index + 1)],
        anchorSize,
      ),
      pattern,
      offset: 0,
    })),
  );
  return [at(0), ...broken];
}

const lineBreaks = [Buffer.from("\n"), Buffer.from("\r\n")];
const farthestAnchor = 128;

/** Where a pattern begins may be a thousand blanks, or what all keys begin with. */
function mostDiverse(bytes: Buffer): number {
  let best = { offset: 0, count: 0 };
  const end = Math.min(bytes.length, farthestAnchor) - anchorSize;
  for (let offset = 0; offset <= end && best.count < anchorSize; offset++) {
    const count = new Set(bytes.subarray(offset, offset + anchorSize)).size;
    if (count > best.count) best = { offset, count };
  }
  return best.offset;
}

function standsAt(bytes: Buffer, text: Uint8Array, start: number): boolean {
  for (let index = 0; index < bytes.length; index++) {
    if (text[start + index] !== bytes[index]) return false;
  }
  return true;
}

interface MatchFrom {
  /** Place in the text. */
  readonly at: number;
  /** Byte of the pattern that stands there. */
  readonly from: number;
}

/** Where the rest of the pattern ends; undefined when something else stands there. */
function matchForward(
  { bytes, isBroken }: IndexedPattern,
  text: Uint8Array,
  { at, from }: MatchFrom,
): number | undefined {
  let place = at;
  for (let index = from; index < bytes.length; place++) {
    const byte = text[place];
    if (byte === bytes[index]) index++;
    else if (!isBroken || byte === undefined || !isBlank(byte)) return undefined;
  }
  return place;
}

/** Where the pattern begins whose byte `from` stands at `at`. */
function matchBackward(
  { bytes, isBroken }: IndexedPattern,
  text: Uint8Array,
  { at, from }: MatchFrom,
): number | undefined {
  let place = at;
  for (let index = from; index > 0;) {
    const byte = text[--place];
    if (byte === bytes[index - 1]) index--;
    else if (!isBroken || byte === undefined || !isBlank(byte)) return undefined;
  }
  return place;
}

function isBlank(byte: number): boolean {
  return byte === 0x0a || byte === 0x0d || byte === 0x20 || byte === 0x09;
}
