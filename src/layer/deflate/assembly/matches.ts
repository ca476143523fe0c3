import {
  countsEnd,
  distanceCounts,
  hashBits,
  lengthCounts,
  literalCounts,
  longestBlock,
  longestMatch,
  matches,
  positions,
  positionsEnd,
  windowLength,
} from "./layout.ts";

/**
 * So many literals in a row are a block of their own: what follows a text and does not compress would spoil the codes of
 * both, and is stored. Of the text and random bytes of the benchmark 51.0 percent are left so, and 54.8 without it.
 */
const worthBlock: u32 = 1024;
/** After so many literals (as a power of two) the search takes steps of two bytes, and so on. */
const patience: u32 = 6;
/** Within so many bytes of a block's end nothing is sought: eight bytes are read at once. */
const margin: u32 = 8;

/** Where a block may begin to refer to. */
let windowStart: usize = 0;

/** What `findMatches` found: where the block ends, and the literals at its end begin. */
export let blockEnd: usize = 0;
export let literalsStart: usize = 0;
/** The end of the matches' list. */
export let matchesEnd: usize = 0;
/** Where literals end that are to be a block behind this one; `blockEnd` when there are none. */
export let literalBlockEnd: usize = 0;

/** Forgets everything and learns what lies in the window. */
export function openWindow(start: usize, end: usize): void {
  windowStart = start;
  memory.fill(positions, 0, positionsEnd - positions);
  for (let at = start; at + 4 <= end; at++) remember(at);
}

/** Finds the matches of one block, which begins at `from`, and counts its symbols. Greedy: the first match is taken. */
export function findMatches(from: usize, end: usize): void {
  forgetCounts();
  const stop = min(end, from + longestBlock);
  const searched = stop - from > margin ? stop - margin : from;
  let match = matches;
  // Literals since the last match begin here.
  let literals = from;
  literalBlockEnd = 0;
  for (let at = from; at < searched;) {
    const four = load<u32>(at);
    const place = placeOf(four);
    const distance = ((<u32>at - <u32>load<u16>(place) - 1) & 0xffff) + 1;
    store<u16>(place, <u16>at);
    let earlier = at - distance;
    // Only half of the address was kept: whatever lies there, its bytes are compared.
    if (distance > windowLength || load<u32>(earlier) !== four || earlier < windowStart) {
      at += 1 + ((at - literals) >> patience);
      continue;
    }
    const matchEnd = endOfMatch(at + 4, earlier + 4, min(stop, at + longestMatch));
    while (
      at > literals &&
      earlier > windowStart &&
      matchEnd - at < longestMatch &&
      load<u8>(at - 1) === load<u8>(earlier - 1)
    ) {
      at--;
      earlier--;
    }
    if (at - literals >= worthBlock) {
      literalBlockEnd = at;
      break;
    }
    countLiterals(literals, at);
    store<u64>(
      match,
      (<u64>(at - literals)) | ((<u64>countMatch(distance, <u32>(matchEnd - at))) << 32),
    );
    match += 8;
    if (matchEnd < searched) {
      // To remember all of them takes longer than it gains.
      remember(at + 1);
      remember(at + 2);
      remember(matchEnd - 2);
      remember(matchEnd - 1);
    }
    at = literals = matchEnd;
  }
  blockEnd = literalBlockEnd === 0 ? stop : literals;
  if (literalBlockEnd === 0) {
    countLiterals(literals, stop);
    literalBlockEnd = stop;
  }
  literalsStart = literals;
  matchesEnd = match;
}

/** A block of literals alone. */
export function takeLiterals(from: usize, to: usize): void {
  forgetCounts();
  countLiterals(from, to);
  blockEnd = literalBlockEnd = to;
  literalsStart = from;
  matchesEnd = matches;
}

function forgetCounts(): void {
  memory.fill(literalCounts, 0, countsEnd - literalCounts);
}

function placeOf(four: u32): usize {
  return positions + ((<usize>((four * 0x9e3779b1) >> (32 - hashBits))) << 1);
}

function remember(at: usize): void {
  store<u16>(placeOf(load<u32>(at)), <u16>at);
}

/** The first byte that differs, or `most`. */
function endOfMatch(at: usize, earlier: usize, most: usize): usize {
  for (; at + 8 <= most; at += 8, earlier += 8) {
    const difference = load<u64>(at) ^ load<u64>(earlier);
    if (difference !== 0) return at + <usize>(ctz(difference) >> 3);
  }
  while (at < most && load<u8>(at) === load<u8>(earlier)) {
    at++;
    earlier++;
  }
  return at;
}

function countLiterals(from: usize, to: usize): void {
  for (let at = from; at < to; at++) addOne(literalCounts, load<u8>(at));
}

/** Counts a match and packs it; `unpack…` in block.ts are the counterpart. */
function countMatch(distance: u32, length: u32): u32 {
  addOne(lengthCounts, length);
  const slot = slotOf(distance - 1);
  addOne(distanceCounts, slot);
  return (distance - 1) | (slot << 15) | (length << 20);
}

/** Two symbols of distances for each power of two (RFC 1951, 3.2.5); the first four stand for one distance each. */
function slotOf(distance: u32): u32 {
  if (distance < 4) return distance;
  const power = 31 - clz(distance);
  return 2 * power + ((distance >> (power - 1)) & 1);
}

function addOne(counts: usize, index: u32): void {
  const count = counts + ((<usize>index) << 2);
  store<u32>(count, load<u32>(count) + 1);
}
