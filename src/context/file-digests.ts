import { createHash } from "node:crypto";
import type { Digest } from "../core/index.ts";
import { rootPathToString } from "../layer/index.ts";
import { bytesOf, isAscii } from "./byte-strings.ts";
import type { PathIndex } from "./path-index.ts";
import type { FileDigest } from "./types.ts";

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
    const last = this.#namings.at(-1);
    const isSame = last?.paths === naming.paths && last.prefix === naming.prefix;
    if (!isSame || last.cut !== naming.cut) this.#namings.push({ ...naming, start: this.#length });
    return this.#add(file.mode, file.number);
  }

  setDigest(slot: number, digest: Digest): void {
    const records = this.#pages[Math.floor(slot / filesInPage)];
    const at = (slot % filesInPage) * recordSize;
    records?.write(digest.slice(prefix.length), at, 32, "hex");
  }

  *[Symbol.iterator](): Generator<FileDigest, void, undefined> {
    const owned = this.#own[Symbol.iterator]();
    const namings = this.#namings.values();
    let naming = namings.next().value;
    let next = namings.next().value;
    for (let slot = 0; slot < this.#length; slot++) {
      const records = this.#pages[Math.floor(slot / filesInPage)] ?? noRecords;
      const at = (slot % filesInPage) * recordSize;
      const number = records.readUInt32LE(at + numberAt);
      while (next !== undefined && next.start <= slot)
        [naming, next] = [next, namings.next().value];
      const path = number === own ? (owned.next().value ?? "") : nameOf(number, naming);
      const digest = `${prefix}${records.toString("hex", at, at + 32)}` as Digest;
      yield { path, digest, mode: records.readUInt32LE(at + modeAt) };
    }
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

function nameOf(number: number, naming: NumberedPaths | undefined): string {
  if (naming === undefined) throw new Error("a number without a path");
  const path = naming.paths.pathOf(number).slice(naming.cut);
  return naming.prefix + (isAscii(path) ? path : rootPathToString(bytesOf(path)));
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

/** Characters that are hashed in one go; all lines of a large tree would be tens of megabytes. */
const linesAtOnce = 64 * 1024;

/** One digest over a list of digests and their paths: equal when nothing was added, removed, renamed or changed. */
export function selectionDigest(files: Iterable<FileDigest>): Digest {
  const hash = createHash("sha256");
  let lines = "";
  for (const { path, digest } of files) {
    lines += `${digest} ${String(path.length)}:${path}\n`;
    if (lines.length < linesAtOnce) continue;
    hash.update(lines);
    lines = "";
  }
  return `sha256:${hash.update(lines).digest("hex")}` as Digest;
}
