import type { FileHandle } from "node:fs/promises";
import { archiveError } from "./errors.ts";

/** One handle serves many members at a time, which the streams of `fs` do not allow without closing it. */
export async function* readRange(
  file: FileHandle,
  start: number,
  size: number,
): AsyncGenerator<Buffer, void, undefined> {
  const end = start + size;
  for (let offset = start; offset < end;) {
    const chunk = Buffer.allocUnsafe(Math.min(256 * 1024, end - offset));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, offset);
    if (bytesRead === 0) throw shrunk();
    offset += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

function shrunk(): Error {
  return archiveError("ARCHIVE_TRUNCATED", "read archive: it became shorter while it was read");
}
