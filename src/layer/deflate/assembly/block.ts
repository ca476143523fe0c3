import { alignToByte, bitBuffer, bitCount, resumeWriting, writeAt, writeBits } from "./bits.ts";
import { costOf, makeCode } from "./codes.ts";
import {
  distanceCodes,
  distanceCounts,
  distanceSymbols,
  endOfBlock,
  firstLengthSymbol,
  lengthCounts,
  lengthSlots,
  literalBits,
  literalCodes,
  literalCounts,
  literalSymbols,
  longestMatch,
  matchCodes,
  matches,
  runBits,
  runCodes,
  runCounts,
  runs,
  runSymbols,
} from "./layout.ts";
import { literalsStart, matchesEnd } from "./matches.ts";

/** By symbol of a length: the shortest that it stands for, and its extra bits (RFC 1951, 3.2.5). */
const lengthBases = memory.data<u16>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
]);
const lengthExtras = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
]);
/** In which order the bits of the runs' codes are told (RFC 1951, 3.2.7). */
const runOrder = memory.data<u8>([
  16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
]);
/** The same length again, 3 to 6 times; zeros, 3 to 10 and 11 to 138. */
const repeatLast: u32 = 16;
const fewZeros: u32 = 17;
const manyZeros: u32 = 18;

/** Deflate allows 15. With 14, four literals and what a byte has left fit into 64 bits. */
const longestCode: u32 = 14;
const longestRunCode: u32 = 7;

/** What the header of a block tells: symbols of either kind, runs that tell their bits, and codes of these. */
let literalsTold: u32 = 0;
let distancesTold: u32 = 0;
let runCodesTold: u32 = 0;
let runsEnd: usize = 0;

/** Once, before any block. */
export function prepareLengths(): void {
  for (let slot: u32 = 0; slot < 29; slot++) {
    const base = <u32>load<u16>(lengthBases + 2 * slot);
    const count = (<u32>1) << (<u32>load<u8>(lengthExtras + slot));
    // The last length has a symbol of its own, though that before it could say it, too.
    memory.fill(lengthSlots + base, <u8>slot, count);
  }
}

/** Writes what was counted and found, in the shorter of the two ways. It is never the last block. */
export function writeBlock(from: usize, to: usize): void {
  countLengthSymbols();
  store<u32>(literalCounts + 4 * endOfBlock, 1);
  makeCode(literalCounts, literalSymbols, longestCode, literalBits, literalCodes);
  literalsTold = toldOf(literalBits, literalSymbols, firstLengthSymbol);
  const distanceBits = literalBits + literalsTold;
  makeCode(distanceCounts, distanceSymbols, longestCode, distanceBits, distanceCodes);
  distancesTold = toldOf(distanceBits, distanceSymbols, 1);
  makeRuns(literalsTold + distancesTold);
  makeCode(runCounts, runSymbols, longestRunCode, runBits, runCodes);
  runCodesTold = runSymbols;
  while (runCodesTold > 4 && bitsOfRunCode(runCodesTold - 1) === 0) runCodesTold--;
  if (costInBits() >= 8 * <u32>(to - from)) return writeStored(from, to);
  writeHeader();
  joinLengthCodes();
  writeSymbols(from, to);
}

function countLengthSymbols(): void {
  for (let length: u32 = 3; length <= longestMatch; length++) {
    const symbol = firstLengthSymbol + <u32>load<u8>(lengthSlots + length);
    const count = literalCounts + 4 * symbol;
    store<u32>(count, load<u32>(count) + load<u32>(lengthCounts + 4 * length));
  }
}

/** Symbols up to the last one with a code. */
function toldOf(bits: usize, size: u32, least: u32): u32 {
  while (size > least && load<u8>(bits + size - 1) === 0) size--;
  return size;
}

/** Tells the bits of all codes in runs. */
function makeRuns(size: u32): void {
  memory.fill(runCounts, 0, 4 * runSymbols);
  runsEnd = runs;
  for (let index: u32 = 0; index < size;) {
    const bits = <u32>load<u8>(literalBits + index);
    let left: u32 = 1;
    while (index + left < size && <u32>load<u8>(literalBits + index + left) === bits) left++;
    index += left;
    if (bits > 0) {
      addRun(bits, 0);
      left--;
    }
    while (left >= 3) {
      const most: u32 = bits > 0 ? 6 : 138;
      const length = min(left, most);
      if (bits > 0) addRun(repeatLast, length - 3);
      else if (length > 10) addRun(manyZeros, length - 11);
      else addRun(fewZeros, length - 3);
      left -= length;
    }
    for (; left > 0; left--) addRun(bits, 0);
  }
}

function addRun(symbol: u32, extra: u32): void {
  store<u8>(runsEnd, <u8>symbol);
  store<u8>(runsEnd + 1, <u8>extra);
  runsEnd += 2;
  const count = runCounts + 4 * symbol;
  store<u32>(count, load<u32>(count) + 1);
}

function extraOfRun(symbol: u32): u32 {
  if (symbol < repeatLast) return 0;
  return symbol === manyZeros ? 7 : symbol === fewZeros ? 3 : 2;
}

function bitsOfRunCode(index: u32): u32 {
  return load<u8>(runBits + <usize>load<u8>(runOrder + index));
}

function costInBits(): u32 {
  let cost: u32 = 3 + 14 + 3 * runCodesTold;
  cost += costOf(runCounts, runSymbols, runBits);
  for (let symbol = repeatLast; symbol <= manyZeros; symbol++) {
    cost += load<u32>(runCounts + 4 * symbol) * extraOfRun(symbol);
  }
  cost += costOf(literalCounts, literalSymbols, literalBits);
  for (let slot: u32 = 0; slot < 29; slot++) {
    const count = load<u32>(literalCounts + 4 * (firstLengthSymbol + slot));
    cost += count * <u32>load<u8>(lengthExtras + slot);
  }
  cost += costOf(distanceCounts, distanceSymbols, literalBits + literalsTold);
  for (let slot: u32 = 4; slot < distanceSymbols; slot++) {
    cost += load<u32>(distanceCounts + 4 * slot) * extraOfDistance(slot);
  }
  return cost;
}

function extraOfDistance(slot: u32): u32 {
  return (slot >> 1) - 1;
}

function writeStored(from: usize, to: usize): void {
  const length = <u32>(to - from);
  writeBits(0, 3);
  alignToByte();
  writeBits(length | ((length ^ 0xffff) << 16), 32);
  memory.copy(writeAt, from, length);
  resumeWriting(writeAt + length, 0, 0);
}

/** That of a block with codes of its own (RFC 1951, 3.2.7). */
function writeHeader(): void {
  writeBits(0b100, 3);
  writeBits(literalsTold - firstLengthSymbol, 5);
  writeBits(distancesTold - 1, 5);
  writeBits(runCodesTold - 4, 4);
  for (let index: u32 = 0; index < runCodesTold; index++) writeBits(bitsOfRunCode(index), 3);
  for (let run = runs; run < runsEnd; run += 2) {
    const symbol = <u32>load<u8>(run);
    const code = load<u32>(runCodes + 4 * symbol);
    writeBits(code & 0xffff, code >> 16);
    writeBits(load<u8>(run + 1), extraOfRun(symbol));
  }
}

/** So that a length is looked up once, and not its symbol, its code and its extra bits. */
function joinLengthCodes(): void {
  for (let length: u32 = 3; length <= longestMatch; length++) {
    const slot = <u32>load<u8>(lengthSlots + length);
    const code = load<u32>(literalCodes + 4 * (firstLengthSymbol + slot));
    const bits = code >> 16;
    const extra = length - <u32>load<u16>(lengthBases + 2 * slot);
    const both = (code & 0xffff) | (extra << bits);
    store<u32>(matchCodes + 4 * length, both | ((bits + <u32>load<u8>(lengthExtras + slot)) << 24));
  }
}

/** The innermost loop: what it writes stays in variables, and leaves after four literals or one match. */
function writeSymbols(from: usize, to: usize): void {
  let address = writeAt;
  let buffer = bitBuffer;
  let count = bitCount;
  let at = from;
  for (let match = matches; ; match += 8) {
    let left = match < matchesEnd ? load<u32>(match) : <u32>(to - literalsStart);
    for (; left >= 4; left -= 4) {
      const four = load<u32>(at);
      const first = load<u32>(literalCodes + ((four & 0xff) << 2));
      const second = load<u32>(literalCodes + ((four >> 6) & 0x3fc));
      const third = load<u32>(literalCodes + ((four >> 14) & 0x3fc));
      const fourth = load<u32>(literalCodes + ((four >> 22) & 0x3fc));
      buffer |= (<u64>(first & 0xffff)) << (<u64>count);
      count += first >> 16;
      buffer |= (<u64>(second & 0xffff)) << (<u64>count);
      count += second >> 16;
      buffer |= (<u64>(third & 0xffff)) << (<u64>count);
      count += third >> 16;
      buffer |= (<u64>(fourth & 0xffff)) << (<u64>count);
      count += fourth >> 16;
      store<u64>(address, buffer);
      address += count >> 3;
      buffer >>= <u64>(count & 56);
      count &= 7;
      at += 4;
    }
    for (; left > 0; left--) {
      const code = load<u32>(literalCodes + ((<u32>load<u8>(at++)) << 2));
      buffer |= (<u64>(code & 0xffff)) << (<u64>count);
      count += code >> 16;
    }
    store<u64>(address, buffer);
    address += count >> 3;
    buffer >>= <u64>(count & 56);
    count &= 7;
    if (match >= matchesEnd) break;
    const packed = load<u32>(match + 4);
    const length = packed >> 20;
    at += length;
    const lengthCode = load<u32>(matchCodes + 4 * length);
    buffer |= (<u64>(lengthCode & 0xffffff)) << (<u64>count);
    count += lengthCode >> 24;
    const slot = (packed >> 15) & 31;
    const code = load<u32>(distanceCodes + 4 * slot);
    buffer |= (<u64>(code & 0xffff)) << (<u64>count);
    count += code >> 16;
    if (slot >= 4) {
      const extra = extraOfDistance(slot);
      buffer |= (<u64>(packed & ((1 << extra) - 1))) << (<u64>count);
      count += extra;
    }
    store<u64>(address, buffer);
    address += count >> 3;
    buffer >>= <u64>(count & 56);
    count &= 7;
  }
  resumeWriting(address, buffer, count);
  const end = load<u32>(literalCodes + 4 * endOfBlock);
  writeBits(end & 0xffff, end >> 16);
}
