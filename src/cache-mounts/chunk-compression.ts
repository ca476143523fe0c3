import { deflateRaw, inflateRawSync } from "node:zlib";
import { digestOf, type Digest } from "../core/index.ts";
import { invalidMounts } from "./errors.ts";

/**
 * Most caches hold archives that are compressed already: the quick level finds that out at little cost, and lists and
 * indexes shrink to nearly what they would at a higher one.
 */
const level = 1;

/** The chunk as it is kept: deflated, or itself where that is no gain. */
export function compressChunk(content: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflateRaw(content, { level, memLevel: 9 }, (error, deflated) => {
      if (error !== null) reject(error);
      else resolve(deflated.length < content.length ? Buffer.from(deflated) : content);
    });
  });
}

/** @throws CACHE_MOUNTS_INVALID unless it is the content of that digest and size */
export function restoreChunk(
  stored: Buffer,
  { digest, size }: { readonly digest: Digest; readonly size: number },
): Buffer {
  const content = stored.length === size ? stored : inflate(stored, { digest, size });
  if (content.length !== size || digestOf(content) !== digest) {
    throw invalidMounts(`chunk ${digest} is not what its name says`);
  }
  return content;
}

function inflate(
  stored: Buffer,
  { digest, size }: { readonly digest: Digest; readonly size: number },
): Buffer {
  try {
    return inflateRawSync(stored, { maxOutputLength: size });
  } catch (error) {
    throw invalidMounts(`chunk ${digest} cannot be decompressed`, error);
  }
}
