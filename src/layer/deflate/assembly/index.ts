import { alignToByte, startWriting, writeAt, writeBits } from "./bits.ts";
import { prepareLengths, writeBlock } from "./block.ts";
import { inputStart, longestInput, outputStart, windowLength } from "./layout.ts";
import { blockEnd, findMatches, literalBlockEnd, openWindow, takeLiterals } from "./matches.ts";

export { inputStart, longestInput, outputStart, windowLength };

prepareLengths();

/**
 * Compresses what lies behind the window, which begins at `inputStart` and has `before` bytes, and answers how many bytes lie
 * at `outputStart` then: whole blocks of deflate (RFC 1951), none of them the last, that end at a byte. The same input
 * gives the same bytes, whatever was compressed before.
 */
export function deflate(before: u32, length: u32): u32 {
  const from = inputStart + before;
  const end = from + length;
  startWriting(outputStart);
  openWindow(inputStart, from);
  for (let at = from; at < end; at = literalBlockEnd) {
    findMatches(at, end);
    const literals = blockEnd;
    const next = literalBlockEnd;
    if (literals > at) writeBlock(at, literals);
    if (next > literals) {
      takeLiterals(literals, next);
      writeBlock(literals, next);
    }
  }
  // A stored block of no bytes ends at a byte, whatever came before it.
  writeBits(0, 3);
  alignToByte();
  writeBits(0xffff0000, 32);
  return <u32>(writeAt - outputStart);
}
