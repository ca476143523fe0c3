import { mkdir, open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { diskFull, isDiskFull } from "../core/index.ts";

/** A folder of numbered files, for the contents of a tree. Whoever gives the folder removes it. */
export class ContentFolder {
  readonly #folder: string;
  #count = 0;
  #made: Promise<unknown> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes one file; stretches of zeros take no room on the disk.
   * @throws DISK_FULL, and what reading the content throws
   */
  async write(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<{ readonly path: string; readonly size: number }> {
    await (this.#made ??= mkdir(this.#folder, { recursive: true, mode: 0o700 }));
    this.#count += 1;
    const path = join(this.#folder, String(this.#count));
    const file = await open(path, "wx", 0o600);
    try {
      return { path, size: await writeSparsely(file, chunks) };
    } catch (error) {
      if (isDiskFull(error)) throw diskFull(this.#folder, error);
      throw error;
    } finally {
      await file.close();
    }
  }
}

const hole = Buffer.alloc(64 * 1024);

async function writeSparsely(
  file: FileHandle,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  let size = 0;
  let written = 0;
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += hole.length) {
      const part = chunk.subarray(start, start + hole.length);
      if (part.length < hole.length || !hole.equals(part)) {
        await writeAll(file, part, size + start);
        written = size + start + part.length;
      }
    }
    size += chunk.length;
  }
  if (written < size) await file.truncate(size);
  return size;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
