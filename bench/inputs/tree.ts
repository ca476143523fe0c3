import { mkdirSync, openSync, closeSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { randomBytes, seededNumbers, wordyText } from "./random.ts";

const filesInFolder = 40;
const foldersInFolder = 25;
const poolSize = 1 << 20;

/** Files below a directory whose content depends on nothing but the options. */
export interface Tree {
  readonly directory: string;
  /** Paths below `directory`, in the order in which they were written. */
  readonly files: readonly string[];
  /** Sum of the sizes. */
  readonly bytes: number;
  /** Gives every file a modification time that it never had. */
  touch(): void;
}

/**
 * Writes `count` files of about `bytes` together: many small ones and a few of ten times the mean, three of four text,
 * in folders of 40, two levels deep and more.
 */
export function writeTree(options: {
  readonly directory: string;
  readonly count: number;
  readonly bytes: number;
  readonly seed: number;
  /** End of each name; default `.txt`. */
  readonly extension?: string;
}): Tree {
  const { directory, count, seed, extension = ".txt" } = options;
  const next = seededNumbers(seed);
  const pools = [wordyText(poolSize, seed), randomBytes(poolSize, seed)] as const;
  const mean = options.bytes / count;
  const files: string[] = [];
  let bytes = 0;
  let folder = "";
  for (let index = 0; index < count; index++) {
    if (index % filesInFolder === 0) {
      folder = folderName(index / filesInFolder);
      mkdirSync(join(directory, folder), { recursive: true });
    }
    const size = Math.min(Math.round(-Math.log(1 - next()) * mean), mean * 10, poolSize);
    const start = Math.floor(next() * (poolSize - size));
    const pool = pools[index % 4 === 3 ? 1 : 0];
    const file = join(folder, `file-${String(index)}${extension}`);
    writeFileSync(join(directory, file), pool.subarray(start, start + size));
    files.push(file);
    bytes += Math.floor(size);
  }
  let age = 1_600_000_000 + seed;
  const touch = (): void => {
    age += 1_000;
    for (const file of files) utimesSync(join(directory, file), age, age);
  };
  touch();
  return { directory, files, bytes, touch };
}

/** Writes one file of `bytes` that does not compress. */
export function writeBigFile(path: string, bytes: number): void {
  const piece = randomBytes(4 << 20, 1);
  const file = openSync(path, "w");
  try {
    for (let written = 0; written < bytes;) {
      // Each piece differs from the last, so that nobody finds the same block twice.
      piece.writeUInt32LE(written / piece.length, 0);
      written += writeSync(file, piece, 0, Math.min(piece.length, bytes - written));
    }
  } finally {
    closeSync(file);
  }
}

function folderName(index: number): string {
  const outer = Math.floor(index / foldersInFolder);
  return join(`part-${String(outer)}`, `folder-${String(index % foldersInFolder)}`);
}
