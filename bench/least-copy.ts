import { createHash, hash } from "node:crypto";
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  writeSync,
} from "node:fs";
import { isMainThread, Worker, workerData } from "node:worker_threads";

/**
 * `node least-copy.js DIRECTORY TAR`: the least that a program for Node can do for a COPY of a directory, to tell what Node
 * takes of it from what tsbuild does. Each file is looked at, read and hashed once; the tar of all is written and hashed, by a
 * second thread. Nothing is looked up or remembered, no attribute asked for, no file looked at again after it was read, and
 * nothing waits for the disk. Files of up to a megabyte, names of up to 99 bytes.
 */
const pieceSize = 1024 * 1024;
const pieces = 6;
const blockSize = 512;

interface Shared {
  readonly memory: readonly SharedArrayBuffer[];
  /** For each piece 1 while it is the writer's, and its length; a piece without length is behind the last. */
  readonly state: Int32Array;
  readonly tar: string;
}

if (isMainThread) copy(process.argv[2] ?? "", process.argv[3] ?? "");
else write(workerData as Shared);

function copy(directory: string, tar: string): void {
  const memory = Array.from({ length: pieces }, () => new SharedArrayBuffer(pieceSize));
  const state = new Int32Array(new SharedArrayBuffer(8 * pieces));
  new Worker(import.meta.filename, { workerData: { memory, state, tar } satisfies Shared });
  const buffers = memory.map((each) => Buffer.from(each));
  const digests: Buffer[] = [];
  let [piece, length] = [0, 0];

  const give = (): void => {
    state[2 * piece + 1] = length;
    Atomics.store(state, 2 * piece, 1);
    Atomics.notify(state, 2 * piece);
    piece = (piece + 1) % pieces;
    length = 0;
    Atomics.wait(state, 2 * piece, 1);
  };
  /** Where so many bytes of the tar go. */
  const room = (size: number): Buffer => {
    if (length + size > pieceSize) give();
    length += size;
    return (buffers[piece] ?? zeros).subarray(length - size, length);
  };
  const walk = (path: string, name: string): void => {
    const stats = lstatSync(path);
    if (stats.isDirectory()) {
      writeHeader(room(blockSize), { name: `${name}/`, stats, size: 0 });
      for (const child of readdirSync(path).sort()) walk(`${path}/${child}`, `${name}/${child}`);
    } else if (stats.isFile()) {
      const padded = Math.ceil(stats.size / blockSize) * blockSize;
      const entry = room(blockSize + padded);
      writeHeader(entry, { name, stats, size: stats.size });
      const content = entry.subarray(blockSize, blockSize + stats.size);
      const fd = openSync(path, "r");
      readSync(fd, content);
      closeSync(fd);
      entry.fill(0, blockSize + stats.size);
      digests.push(hash("sha256", content, "buffer"));
    }
  };

  walk(directory, "data");
  room(2 * blockSize).fill(0);
  give();
  give();
}

const zeros = Buffer.alloc(0);

function writeHeader(
  header: Buffer,
  { name, stats, size }: { readonly name: string; readonly stats: Stats; readonly size: number },
): void {
  header.fill(0, 0, blockSize);
  header.write(name, 0, 100, "latin1");
  writeOctal(header, stats.mode & 0o7777, 100, 7);
  writeOctal(header, stats.uid, 108, 7);
  writeOctal(header, stats.gid, 116, 7);
  writeOctal(header, size, 124, 11);
  writeOctal(header, Math.floor(stats.mtimeMs / 1000), 136, 11);
  header.write("        ", 148, "latin1");
  header.write(name.endsWith("/") ? "5" : "0", 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  let sum = 0;
  for (let at = 0; at < blockSize; at++) sum += header[at] ?? 0;
  writeOctal(header, sum, 148, 6);
}

function writeOctal(header: Buffer, value: number, at: number, digits: number): void {
  header.write(value.toString(8).padStart(digits, "0"), at, "latin1");
}

function write({ memory, state, tar }: Shared): void {
  const buffers = memory.map((each) => Buffer.from(each));
  const digest = createHash("sha256");
  const fd = openSync(tar, "w");
  for (let piece = 0; ; piece = (piece + 1) % pieces) {
    Atomics.wait(state, 2 * piece, 0);
    const bytes = buffers[piece]?.subarray(0, state[2 * piece + 1]) ?? zeros;
    if (bytes.length === 0) break;
    digest.update(bytes);
    writeSync(fd, bytes);
    Atomics.store(state, 2 * piece, 0);
    Atomics.notify(state, 2 * piece);
  }
  closeSync(fd);
  process.stdout.write(`sha256:${digest.digest("hex")}\n`);
}
