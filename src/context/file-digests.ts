import { createHash } from "node:crypto";
import type { Digest } from "../core/index.ts";
import type { FileDigest } from "./types.ts";

const filesInPage = 1024;
/** 32 bytes of a digest, 4 of a mode. */
const recordSize = 36;
const prefix = "sha256:";

interface Page {
  readonly records: Buffer;
  /** Separated by NUL; as text while the page is being filled. */
  paths: Buffer | string[];
}

/**
 * The digests of files in the order in which they were found. They are kept as bytes, 36 and the path of each: as objects
 * with their strings they take some 250, and a build holds them until its last step.
 */
export class FileDigests implements Iterable<FileDigest> {
  readonly #pages: Page[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a file at the end, and answers its place: 0 for the first. Its digest is to follow. */
  add({ path, mode }: Pick<FileDigest, "path" | "mode">): number {
    const slot = this.#length++;
    if (slot % filesInPage === 0) this.#beginPage();
    const page = this.#pages.at(-1);
    if (Array.isArray(page?.paths)) page.paths.push(path);
    page?.records.writeUInt32LE(mode, (slot % filesInPage) * recordSize + 32);
    return slot;
  }

  setDigest(slot: number, digest: Digest): void {
    const records = this.#pages[Math.floor(slot / filesInPage)]?.records;
    const at = (slot % filesInPage) * recordSize;
    records?.write(digest.slice(prefix.length), at, 32, "hex");
  }

  *[Symbol.iterator](): Generator<FileDigest, void, undefined> {
    for (const { records, paths } of this.#pages) {
      const all = Array.isArray(paths) ? paths : paths.toString().split("\0");
      for (const [index, path] of all.entries()) {
        const at = index * recordSize;
        const digest = `${prefix}${records.toString("hex", at, at + 32)}` as Digest;
        yield { path, digest, mode: records.readUInt32LE(at + 32) };
      }
    }
  }

  #beginPage(): void {
    const last = this.#pages.at(-1);
    if (Array.isArray(last?.paths)) last.paths = Buffer.from(last.paths.join("\0"));
    this.#pages.push({ records: Buffer.alloc(filesInPage * recordSize), paths: [] });
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
