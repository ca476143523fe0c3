import { constants, copyFile, fchmod, fchown, fstat, ftruncate, read, write } from "node:fs";
import { promisify } from "node:util";

const asynchronous = {
  copyFile: promisify(copyFile),
  fchmod: promisify(fchmod),
  fchown: promisify(fchown),
  fstat: promisify(fstat),
  ftruncate: promisify(ftruncate),
  read: promisify(read),
  write: promisify(write),
};

/** Zeros of this length, a multiple of what filesystems call a block, are not written. */
const pieceSize = 64 * 1024;
const zeros = Buffer.alloc(pieceSize);
const partSize = 2 * 1024 * 1024;

/**
 * Writes a new file from its beginning to its end. Long runs of zeros are not written: they become holes, which read the
 * same. So a disk image of 100 GB with 1 GB in it takes 1 GB, though a tar spells out every zero.
 */
export class SparseFileWriter {
  readonly #fd: number;
  #length = 0;
  #endsInHole = false;

  /** `fd` of an empty file; it stays open. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** One after the other. */
  async write(part: Uint8Array): Promise<void> {
    // Other content is told from zeros by its first bytes, at no cost.
    let start = 0;
    for (let at = 0; at < part.length; at += pieceSize) {
      const piece = part.subarray(at, at + pieceSize);
      if (piece.length < pieceSize || !zeros.equals(piece)) continue;
      await this.#writeWhole(part.subarray(start, at));
      this.#length += pieceSize;
      this.#endsInHole = true;
      start = at + pieceSize;
    }
    await this.#writeWhole(part.subarray(start));
  }

  /** Gives the file its length. */
  async finish(): Promise<void> {
    if (this.#endsInHole) await asynchronous.ftruncate(this.#fd, this.#length);
  }

  async #writeWhole(part: Uint8Array): Promise<void> {
    for (let written = 0; written < part.length;) {
      const left = part.length - written;
      const { bytesWritten } = await asynchronous.write(
        this.#fd,
        part,
        written,
        left,
        this.#length,
      );
      written += bytesWritten;
      this.#length += bytesWritten;
      this.#endsInHole = false;
    }
  }
}

/**
 * Fills the empty file `to` with what `from` holds: in the kernel, blocks being shared where the filesystem can, and holes
 * staying holes. `to` keeps its owner and mode. `signal` ends the copy of a file with holes; any other is one system call.
 */
export async function copyBytes({ from, to, signal }: CopiedFile): Promise<void> {
  const { size, blocks } = await asynchronous.fstat(from);
  if (blocks * 512 < size) return copySparse({ from, to, signal });
  const { mode, uid, gid } = await asynchronous.fstat(to);
  await asynchronous.copyFile(pathOf(from), pathOf(to), constants.COPYFILE_FICLONE);
  // libuv gives the copy the mode of the source and, since the version that Node 22 has, its owner.
  const copy = await asynchronous.fstat(to);
  if (copy.uid !== uid || copy.gid !== gid) await asynchronous.fchown(to, uid, gid);
  await asynchronous.fchmod(to, mode & 0o7777);
}

/** Descriptors. */
interface CopiedFile {
  readonly from: number;
  readonly to: number;
  readonly signal?: AbortSignal | undefined;
}

async function copySparse({ from, to, signal }: CopiedFile): Promise<void> {
  const writer = new SparseFileWriter(to);
  const buffer = Buffer.allocUnsafeSlow(partSize);
  for (let position = 0; ;) {
    const { bytesRead } = await asynchronous.read(from, buffer, 0, partSize, position);
    if (bytesRead === 0) break;
    await writer.write(buffer.subarray(0, bytesRead));
    signal?.throwIfAborted();
    position += bytesRead;
  }
  await writer.finish();
}

function pathOf(fd: number): string {
  return `/proc/self/fd/${String(fd)}`;
}
