import { constants, inflateRawSync } from "node:zlib";

/** Bytes of a gzip stream that `peekGzip` wants to see. They are never megabytes when they are decompressed. */
export const peekLength = 4096;

const [hasChecksum, hasExtra, hasName, hasComment] = [0x02, 0x04, 0x08, 0x10];

/**
 * What a gzip stream begins with, given its first bytes, whatever comes behind them; nothing when these are broken. zlib's
 * streams give nothing of the piece in which they meet damage, and a small file is one piece.
 */
export function peekGzip(start: Buffer): Buffer {
  try {
    return inflateRawSync(start.subarray(headerLength(start)), {
      finishFlush: constants.Z_SYNC_FLUSH,
    });
  } catch {
    return Buffer.alloc(0);
  }
}

/** @see RFC 1952, "Member header and trailer" */
function headerLength(start: Buffer): number {
  const flags = start[3] ?? 0;
  let length = 10;
  if ((flags & hasExtra) !== 0) length += 2 + (start[length] ?? 0) + 256 * (start[length + 1] ?? 0);
  for (const text of [hasName, hasComment])
    if ((flags & text) !== 0) length = start.indexOf(0, length) + 1;
  return (flags & hasChecksum) === 0 ? length : length + 2;
}
