// Bits go out by the lowest first (RFC 1951, 3.1.1). Whole bytes leave at each write, so never more than 7 are left, and up
// to 57 may be added at once.

/** Where the next byte goes. */
export let writeAt: usize = 0;
export let bitBuffer: u64 = 0;
/** Bits in it, below 8 between two calls. */
export let bitCount: u32 = 0;

export function startWriting(address: usize): void {
  resumeWriting(address, 0, 0);
}

/** For loops that keep the three in variables of their own, which is quicker. */
export function resumeWriting(address: usize, buffer: u64, count: u32): void {
  writeAt = address;
  bitBuffer = buffer;
  bitCount = count;
}

export function writeBits(value: u64, count: u32): void {
  const buffer = bitBuffer | (value << (<u64>bitCount));
  const filled = bitCount + count;
  store<u64>(writeAt, buffer);
  writeAt += filled >> 3;
  bitBuffer = buffer >> (<u64>(filled & 56));
  bitCount = filled & 7;
}

/** The rest of a byte is zeros. */
export function alignToByte(): void {
  if (bitCount > 0) writeBits(0, 8 - bitCount);
}
