import { Digester, type JobThread } from "../core/index.ts";
import {
  type ContentPlaces,
  contentPlaceSize,
  type FillJob,
  type RootPath,
  type TarReceiver,
  type TarTotals,
  versionsOf,
} from "../layer/index.ts";
import { type PutJob, type TarFile, writeTarPart } from "./tar-file.ts";
import type { LaterContent } from "./types.ts";
import { readAll } from "./write-content.ts";

/** A file whose content is to come into a piece. */
interface Missing {
  readonly path: RootPath;
  readonly content: LaterContent;
  readonly at: number;
}

/** Memory for half a megabyte of the tar, and what becomes of it: it is filled, hashed, and written. */
interface Piece {
  readonly bytes: Buffer;
  /** Shared: 1 when all files are in it; and 1 when it is written. */
  readonly filled: Int32Array;
  readonly written: Int32Array;
  isFree: boolean;
  length: number;
  missing: Missing[];
  /** The last job that was about it; 0 for none. */
  job: number;
  /** Where the thread is writing it. */
  position: number | undefined;
}

const piecesAtMost = 7;
/** A file may need a new one for its header, and another one for its content. */
const piecesForFile = 2;
/** What the thread has in hand. With less it would wait for this thread, with more this one for it. */
const jobsAtOnce = 3;
/** Files that are read here before a thread is started for others: it costs as much as these. */
const filesAlone = 500;

/**
 * A tar on its way to its file. Where there is a second thread, that one reads the files of a piece and writes pieces, while
 * this one makes the headers of the next piece and takes the digest of the one before; what the other one has no time for,
 * is done here. Of several failures the first in the order of the tar is told.
 */
export class TarPieces implements ContentPlaces, TarReceiver {
  readonly #file: TarFile;
  readonly #thread: JobThread | undefined;
  readonly #digester = new Digester();
  readonly #pieces: Piece[] = [];
  /** In which headers and contents are laid. */
  #current: Piece | undefined;
  /** What is not hashed yet, in the order of the tar. */
  readonly #waiting: Piece[] = [];
  #filesAlone = 0;
  #lastJob = 0;

  constructor(file: TarFile, thread: JobThread | undefined) {
    this.#file = file;
    this.#thread = thread;
  }

  /** Whether contents may come later (`expect`). Asked before each file. */
  get canWait(): boolean {
    const thread = this.#thread;
    if (thread === undefined) return false;
    if (this.#filesAlone < filesAlone && ++this.#filesAlone === filesAlone) thread.start();
    return thread.isReady && !this.isFull;
  }

  /** Whether nothing more should come before `room` was awaited. */
  get isFull(): boolean {
    if (this.#isUsedUp()) {
      this.#advance();
      this.#collect();
    }
    return this.#isUsedUp();
  }

  next(): Buffer {
    this.#collect();
    const piece = this.#pieces.find(({ isFree }) => isFree) ?? this.#addPiece();
    piece.isFree = false;
    this.#current = piece;
    return piece.bytes;
  }

  /** A place that was given for a file is filled later. */
  expect(place: Buffer, file: Omit<Missing, "at">): void {
    this.#current?.missing.push({ ...file, at: place.byteOffset });
  }

  take(bytes: Uint8Array): void {
    const piece = this.#current;
    if (bytes.buffer === piece?.bytes.buffer) {
      this.#current = undefined;
      piece.length = bytes.length;
      this.#waiting.push(piece);
      if (piece.missing.length > 0) this.#fill(piece);
    } else if (this.#waiting.length > 0) this.#waiting.push(pieceOf(Buffer.from(bytes)));
    else return this.#pass(bytes);
    this.#advance();
  }

  /** Waits until something more can come. */
  async room(): Promise<void> {
    while (this.isFull) {
      await this.#thread?.over(this.#waiting[0]?.job ?? this.#lastJob);
    }
  }

  /** Waits until everything that was taken is written. */
  async settle(): Promise<void> {
    for (let piece = this.#waiting[0]; piece !== undefined; piece = this.#waiting[0]) {
      await this.#thread?.over(piece.job);
      this.#advance();
    }
    await this.stop();
    this.#collect();
  }

  /** Waits until the thread does nothing about this tar any more, whatever is missing. */
  async stop(): Promise<void> {
    await this.#thread?.over(this.#lastJob);
  }

  /** To be called when everything but the end of the tar has settled. */
  finish(): TarTotals {
    if (this.#waiting.length > 0) throw new Error("the tar has not settled");
    return { digest: this.#digester.digest(), size: this.#digester.size };
  }

  #isUsedUp(): boolean {
    const inUse = this.#pieces.filter(({ isFree }) => !isFree).length;
    return piecesAtMost - inUse < piecesForFile;
  }

  #addPiece(): Piece {
    const isShared = this.#thread !== undefined;
    const memory = isShared ? new SharedArrayBuffer(contentPlaceSize) : undefined;
    const piece = pieceOf(memory ? Buffer.from(memory) : Buffer.allocUnsafeSlow(contentPlaceSize));
    this.#pieces.push(piece);
    return piece;
  }

  /** Lets the contents come. */
  #fill(piece: Piece): void {
    if (this.#canPost()) this.#post(piece, fillJobOf(piece));
    else
      try {
        fillHere(piece);
      } catch {
        // Told when it is the turn of this piece: something before it may be wrong, too.
      }
  }

  /** Hashes what is complete, and hands it to the disk. */
  #advance(): void {
    for (let piece = this.#waiting[0]; piece && this.#isIdle(piece); piece = this.#waiting[0]) {
      if (piece.missing.length > 0 && piece.filled[0] !== 1) fillHere(piece);
      this.#waiting.shift();
      piece.missing = [];
      this.#store(piece);
    }
  }

  #store(piece: Piece): void {
    const bytes = piece.bytes.subarray(0, piece.length);
    // Of other memory, this is the copy.
    if (!this.#pieces.includes(piece) || !this.#canPost()) {
      this.#pass(bytes);
      piece.isFree = true;
      return;
    }
    this.#digester.update(bytes);
    piece.position = this.#file.claim(bytes.length);
    const { written, position } = piece;
    this.#post(piece, { kind: "put", fd: this.#file.fd, bytes, position, done: written });
  }

  /** Frees what is written. */
  #collect(): void {
    for (const piece of this.#pieces) {
      if (piece.position === undefined || !this.#isIdle(piece)) continue;
      if (piece.written[0] !== 1)
        writeTarPart(this.#file.fd, piece.bytes.subarray(0, piece.length), piece.position);
      piece.position = undefined;
      piece.isFree = true;
    }
  }

  #pass(bytes: Uint8Array): void {
    this.#digester.update(bytes);
    this.#file.write(bytes);
  }

  #canPost(): boolean {
    if (this.#thread?.isReady !== true) return false;
    return this.#pieces.filter((piece) => !this.#isIdle(piece)).length < jobsAtOnce;
  }

  #post(piece: Piece, job: FillJob | PutJob): void {
    job.done[0] = 0;
    piece.job = this.#thread?.post(job) ?? 0;
    this.#lastJob = piece.job;
  }

  #isIdle({ job }: Piece): boolean {
    return job === 0 || this.#thread?.isOver(job) !== false;
  }
}

function pieceOf(bytes: Buffer): Piece {
  return {
    bytes,
    filled: new Int32Array(new SharedArrayBuffer(4)),
    written: new Int32Array(new SharedArrayBuffer(4)),
    isFree: true,
    length: bytes.length,
    missing: [],
    job: 0,
    position: undefined,
  };
}

function fillJobOf({ bytes, missing, filled }: Piece): FillJob {
  return {
    kind: "fill",
    bytes,
    paths: missing.map(({ content }) => content.version.path).join("\0"),
    places: Float64Array.from(missing.flatMap(({ at, content }) => [at, content.size, 0])),
    versions: versionsOf(missing.map(({ content }) => content.version)),
    done: filled,
  };
}

function fillHere({ bytes, missing, filled }: Piece): void {
  filled[0] = 0;
  for (const { path, content, at } of missing) {
    const file = content.open();
    try {
      readAll(file.fd, bytes.subarray(at, at + content.size), path);
      file.verify();
    } catch (error) {
      // One that became shorter is told as the change that it is.
      file.verify();
      throw error;
    } finally {
      file.close();
    }
  }
  filled[0] = 1;
}
