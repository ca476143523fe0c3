/** What is judged as a whole, in bytes. */
const cellLength = 4096;
/** Bytes of a cell that are looked at. */
const samples = 256;
const stride = cellLength / samples;
/**
 * Of 256 random bytes 162 are different, give or take 5: so it is in what was compressed or encrypted. Text has some 50
 * and machine code some 110.
 */
const manyValues = 146;
/** Shorter runs are not worth the blocks that they end. */
const worthStoring = 2 * cellLength;

/** A part of some content. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  /** Nothing is gained by compressing it: zlib needs twice as long for it as for text, and makes it longer. */
  readonly isStored: boolean;
}

/** Divides content by a look at every sixteenth byte. The same content is always divided in the same way. */
export function divideContent(content: Uint8Array): readonly Segment[] {
  const segments: Segment[] = [];
  let start = 0;
  for (let at = 0; at < content.length;) {
    const end = endOfRandom(content, at);
    if (end - at < worthStoring) {
      at = Math.max(end, at + cellLength);
      continue;
    }
    if (at > start) segments.push({ start, end: at, isStored: false });
    segments.push({ start: at, end, isStored: true });
    at = start = end;
  }
  if (start < content.length) segments.push({ start, end: content.length, isStored: false });
  return segments;
}

/** Where the cells from `start` on stop being random; `start` itself when the first is not. */
function endOfRandom(content: Uint8Array, start: number): number {
  let at = start;
  while (at + cellLength <= content.length && isRandom(content, at)) at += cellLength;
  return at;
}

const seen = new Uint8Array(256);

function isRandom(content: Uint8Array, start: number): boolean {
  seen.fill(0);
  let different = 0;
  for (let index = 0; index < samples; index += 1) {
    // Not always the same place of sixteen: records of that length would be judged by one of their fields.
    const value = content[start + index * stride + (index % stride)] ?? 0;
    if (seen[value] === 1) continue;
    seen[value] = 1;
    different += 1;
  }
  return different >= manyValues;
}
