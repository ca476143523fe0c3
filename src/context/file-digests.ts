import { createHash } from "node:crypto";
import type { Digest } from "../core/index.ts";
import { rootPathToString } from "../layer/index.ts";
import { type ByteString, bytesOf, isAscii } from "./byte-strings.ts";
import { type PathIndex, type PathReader, plainPaths } from "./path-index.ts";
import type { DigestBytes, FileDigest } from "./types.ts";

const filesInPage = 1024;
/** 32 bytes of a digest, 4 of a mode, 4 of a path's number. */
const recordSize = 40;
const modeAt = 32;
const numberAt = 36;
/** In place of the number of a path that is kept here. */
const own = 0xffff_ffff;
const prefix = "sha256:";

/** Where the paths of files are that lie below one directory, each in memory once. */
export interface NumberedPaths {
  readonly paths: PathIndex;
  /** Characters before what is told of a path. */
  readonly cut: number;
  /** What is told in their place. */
  readonly prefix: string;
}

/** How files from `start` on are named. */
interface Naming extends NumberedPaths {
  readonly start: number;
}

/** A file as its line is made. */
export interface ListedFile {
  readonly path: string;
  /** Whether the path surely is printable ASCII without quotes and backslashes. */
  readonly isPlain: boolean;
  readonly digest: string;
  readonly mode: number;
}

/** The lines of so many files. */
export interface FileLines {
  readonly text: string;
  readonly count: number;
}

/**
 * The digests of files in the order in which they were found. They are kept as bytes, 40 and the path of each that has no
 * number: as objects with their strings they take some 250, and a build holds them until its last step.
 */
export class FileDigests implements Iterable<FileDigest> {
  readonly #pages: Buffer[] = [];
  readonly #own = new PathList();
  readonly #namings: Naming[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a file at the end, and answers its place: 0 for the first. Its digest is to follow. */
  add({ path, mode }: Pick<FileDigest, "path" | "mode">): number {
    this.#own.push(path);
    return this.#add(mode, own);
  }

  /** The same for a file whose path has a number. */
  addNumbered(
    file: { readonly number: number; readonly mode: number },
    naming: NumberedPaths,
  ): number {
    this.#name(naming);
    return this.#add(file.mode, file.number);
  }

  /** The same for the first `count` of files in a row. */
  addRow(
    row: { readonly numbers: Uint32Array; readonly modes: Uint16Array; readonly count: number },
    naming: NumberedPaths,
  ): void {
    this.#name(naming);
    for (let index = 0; index < row.count; index++)
      this.#add(row.modes[index] ?? 0, row.numbers[index] ?? 0);
  }

  #name(naming: NumberedPaths): void {
    const last = this.#namings.at(-1);
    const isSame = last?.paths === naming.paths && last.prefix === naming.prefix;
    if (!isSame || last.cut !== naming.cut) this.#namings.push({ ...naming, start: this.#length });
  }

  /** Keeps a copy. */
  setDigest(slot: number, digest: DigestBytes): void {
    this.#pages[Math.floor(slot / filesInPage)]?.set(digest, (slot % filesInPage) * recordSize);
  }

  *[Symbol.iterator](): Generator<FileDigest, void, undefined> {
    const nameOf = this.#names();
    for (let slot = 0; slot < this.#length; slot++) {
      const records = this.#pages[Math.floor(slot / filesInPage)] ?? noRecords;
      const at = (slot % filesInPage) * recordSize;
      const { path } = nameOf(slot, records.readUInt32LE(at + numberAt));
      const digest = `${prefix}${records.toString("hex", at, at + 32)}` as Digest;
      yield { path, digest, mode: records.readUInt32LE(at + modeAt) };
    }
  }

  /** What `lineOf` says of each file, a thousand at a time: of all of them digests and paths become text together. */
  *lines(lineOf: (file: ListedFile) => string): Generator<FileLines, void, undefined> {
    const nameOf = this.#names();
    for (const [page, records] of this.#pages.entries()) {
      const first = page * filesInPage;
      const count = Math.min(filesInPage, this.#length - first);
      const hex = records.toString("hex", 0, count * recordSize);
      let text = "";
      for (let index = 0; index < count; index++) {
        const at = index * recordSize;
        const { path, isPlain } = nameOf(first + index, records.readUInt32LE(at + numberAt));
        const mode = records.readUInt32LE(at + modeAt);
        const digest = prefix + hex.slice(2 * at, 2 * at + 64);
        text += lineOf({ path, isPlain, digest, mode });
      }
      yield { text, count };
    }
  }

  /** Tells the names of all files, which are asked in their order. */
  #names(): (slot: number, number: number) => Pick<ListedFile, "path" | "isPlain"> {
    const owned = this.#own[Symbol.iterator]();
    const namings = this.#namings.values();
    let next = namings.next().value;
    let [cut, below] = [0, ""];
    let isPlainPrefix = true;
    let read: PathReader | undefined;
    return (slot, number) => {
      while (next !== undefined && next.start <= slot) {
        ({ cut, prefix: below } = next);
        isPlainPrefix = plainPaths.test(below);
        read = next.paths.reader();
        next = namings.next().value;
      }
      if (number === own) {
        const path = owned.next().value ?? "";
        return { path, isPlain: plainPaths.test(path) };
      }
      if (read === undefined) throw new Error("a number without a path");
      const { path, isPlain } = read(number);
      const name = path.slice(cut);
      if (isPlain) return { path: below + name, isPlain: isPlainPrefix };
      return { path: below + textOfName(name), isPlain: false };
    };
  }

  #add(mode: number, number: number): number {
    const slot = this.#length++;
    if (slot % filesInPage === 0) this.#pages.push(Buffer.alloc(filesInPage * recordSize));
    const at = (slot % filesInPage) * recordSize;
    this.#pages.at(-1)?.writeUInt32LE(mode, at + modeAt);
    this.#pages.at(-1)?.writeUInt32LE(number, at + numberAt);
    return slot;
  }
}

const noRecords = Buffer.alloc(recordSize);

function textOfName(name: ByteString): string {
  return isAscii(name) ? name : rootPathToString(bytesOf(name));
}

/** Paths in their order; what is complete lies in pages of bytes. */
class PathList implements Iterable<string> {
  /** Separated by NUL. */
  readonly #pages: Buffer[] = [];
  #last: string[] = [];

  push(path: string): void {
    this.#last.push(path);
    if (this.#last.length < filesInPage) return;
    this.#pages.push(Buffer.from(this.#last.join("\0")));
    this.#last = [];
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    for (const page of this.#pages) yield* page.toString().split("\0");
    yield* this.#last;
  }
}

/** Of files that are kept otherwise. */
function* linesOf(
  files: Iterable<FileDigest>,
  lineOf: (file: ListedFile) => string,
): Generator<FileLines, void, undefined> {
  let [text, count] = ["", 0];
  for (const { path, digest, mode } of files) {
    text += lineOf({ path, isPlain: plainPaths.test(path), digest, mode });
    if (++count % filesInPage > 0) continue;
    yield { text, count };
    [text, count] = ["", 0];
  }
  yield { text, count };
}

/** What `lineOf` says of each file, in parts. */
export function fileLines(
  files: Iterable<FileDigest>,
  lineOf: (file: ListedFile) => string,
): Iterable<FileLines> {
  return files instanceof FileDigests ? files.lines(lineOf) : linesOf(files, lineOf);
}

/** One digest over a list of digests and their paths: equal when nothing was added, removed, renamed or changed. */
export function selectionDigest(files: Iterable<FileDigest>): Digest {
  const hash = createHash("sha256");
  for (const { text } of fileLines(files, hashedLine)) hash.update(text);
  return `sha256:${hash.digest("hex")}` as Digest;
}

function hashedLine({ path, digest }: ListedFile): string {
  return `${digest} ${String(path.length)}:${path}\n`;
}
