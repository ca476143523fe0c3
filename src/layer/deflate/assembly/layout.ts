// Where everything lies in the module's memory. There is no heap: every address is known when this is compiled, and
// AssemblyScript's own constants (`memory.data`) lie below the first of them.

/** What a distance can reach (RFC 1951, 3.2.5). */
export const windowLength: u32 = 32768;
/** Input that one call takes, besides the window before it. */
export const longestInput: u32 = 1 << 20;
/** A stored block says its length in 16 bits; no block of any kind is longer here. */
export const longestBlock: u32 = 0xffff;

/** Literals and the end of a block, 0 to 256, and lengths, 257 to 285. */
export const literalSymbols: u32 = 286;
export const endOfBlock: u32 = 256;
export const firstLengthSymbol: u32 = 257;
export const distanceSymbols: u32 = 30;
/** The alphabet in which the lengths of codes are told (RFC 1951, 3.2.7). */
export const runSymbols: u32 = 19;

export const shortestMatch: u32 = 4;
export const longestMatch: u32 = 258;

/** How often each symbol occurs in a block, u32 each. The three lie together: they are cleared at once. */
export const literalCounts: usize = 0x2000;
export const distanceCounts: usize = literalCounts + 4 * literalSymbols;
/** By the length of a match, not by its symbol. */
export const lengthCounts: usize = distanceCounts + 4 * distanceSymbols;
export const countsEnd: usize = lengthCounts + 4 * (longestMatch + 1);
export const runCounts: usize = 0x2c00;

/** Bits of each symbol's code, u8 each; those of distances follow the last literal that is told. */
export const literalBits: usize = 0x2d00;
export const runBits: usize = 0x2f00;
/** The runs in which they are told: u8 symbol, u8 extra. */
export const runs: usize = 0x3000;

/** Codes, u32 each: the code in the lower half as it is written, its bits above. */
export const literalCodes: usize = 0x4000;
export const distanceCodes: usize = 0x4800;
export const runCodes: usize = 0x4900;
/** By the length of a match: code and extra bits in 24 bits, their number above. */
export const matchCodes: usize = 0x4a00;
/** By the length of a match, u8: its symbol less `firstLengthSymbol`. */
export const lengthSlots: usize = 0x5000;

/** For the making of a code: symbols by frequency, the tree, symbols for each depth; u32 each. */
export const sortedSymbols: usize = 0x6000;
export const tree: usize = 0x6800;
export const symbolsAtDepth: usize = 0x7000;

/** The last position of each hash of four bytes: the lower half of its address. */
export const hashBits: u32 = 15;
export const positions: usize = 0x10000;
export const positionsEnd: usize = positions + (2 << hashBits);

/** Matches of a block, 8 bytes each: u32 literals before it, u32 distance - 1, slot of the distance, length. */
export const matches: usize = 0x20000;

/** The window, and behind it what is to be compressed. */
export const inputStart: usize = 0x50000;
/** Of input that cannot be compressed: each KiB at worst begins two blocks, of 5 bytes more. */
export const outputStart: usize = inputStart + windowLength + longestInput + 64;
export const outputEnd: usize = outputStart + longestInput + 16 * 1024;
