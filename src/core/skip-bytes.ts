import type { Readable } from "node:stream";

/** What is behind the first `size` bytes of a stream, which is destroyed when nobody reads on. */
export async function* skipBytes(
  content: Readable,
  size: number,
): AsyncGenerator<Buffer, void, undefined> {
  let left = size;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(left - chunk.length, 0);
  }
}
