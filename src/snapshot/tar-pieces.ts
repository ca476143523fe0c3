import { type Digest, Digester, type JobThread, versionLength } from "../core/index.ts";
import {
  type ContentPlaces,
  contentPlaceSize,
  digestBehind,
  type DigestsAsked,
  type FillJob,
  headStands,
  joinRootPath,
  placeLength,
  runFillJob,
  type TarReceiver,
  type TarTotals,
} from "../layer/index.ts";
import { type PutJob, type TarFile, writeTarPart } from "./tar-file.ts";
import { sumHere, type SumJob, sumLength } from "./tar-sum.ts";
import type { LaterFiles, WantedDigests } from "./types.ts";
import { readAll } from "./write-content.ts";

/** A file whose content is to come into a piece. */
interface Missing {
  readonly later: LaterFiles;
  readonly index: number;
  readonly digests: WantedDigests | undefined;
  /** Where it is to begin. */
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
  /** Those of `missing` that are wanted. */
  digests: DigestsAsked | undefined;
  /** The last job that was about it; 0 for none. */
  job: number;
  /** Where the thread is writing it. */
  position: number | undefined;
}

const piecesAtMost = 7;
/** A file may need a new one for its header, and another one for its content. */
const piecesForFile = 2;
/** What the thread has in hand. With less it would wait for this thread, with more this one for it. */
const jobsAtOnce = 2;
/** Files that are read here before a thread is started for others: it costs as much as these. */
const filesAlone = 500;

/** Tars of this process so far. */
let tars = 0;

/**
 * A tar on its way to its file. Where there is a second thread, that one reads the files of a piece, writes pieces and takes the
 * digest, while this one makes the headers of the next ones; of the files, what the other one has no time for is read here. Of
 * several failures the first in the order of the tar is told.
 */
export class TarPieces implements ContentPlaces, TarReceiver {
  readonly #file: TarFile;
  readonly #thread: JobThread | undefined;
  /** Until the thread takes the digest, from the first piece on that it writes. */
  readonly #digester = new Digester();
  /** As the thread knows it. */
  readonly #number = ++tars;
  #isSummedThere = false;
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
    this.#startThread();
    return this.#thread?.isReady === true && !this.isFull;
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

  /** A place for a file in the piece that was given last is filled later. */
  expect(file: Missing): void {
    this.#startThread();
    this.#current?.missing.push(file);
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

  /** Digest and length of the tar, all of which was taken. */
  async finish(): Promise<TarTotals> {
    await this.settle();
    this.#file.extend();
    const { fd, length } = this.#file;
    if (!this.#isSummedThere) return { digest: this.#digester.digest(), size: length };
    const digest = (await this.#askSum()) ?? sumHere(fd, length);
    return { digest: digest as Digest, size: length };
  }

  /** undefined when the thread cannot tell. */
  async #askSum(): Promise<string | undefined> {
    if (this.#thread === undefined) return undefined;
    const result = new Uint8Array(new SharedArrayBuffer(sumLength));
    const { fd, length } = this.#file;
    const job: SumJob = { kind: "sum", tar: this.#number, fd, length, result };
    this.#lastJob = this.#thread.post(job);
    await this.stop();
    return result[0] === 0 ? undefined : Buffer.from(result).toString("latin1");
  }

  /** Once it pays. */
  #startThread(): void {
    if (this.#filesAlone < filesAlone && ++this.#filesAlone === filesAlone) this.#thread?.start();
  }

  #isUsedUp(): boolean {
    let inUse = 0;
    for (const { isFree } of this.#pieces) if (!isFree) inUse++;
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
    piece.digests = digestsOf(piece.missing);
    if (this.#canPost()) this.#post(piece, fillJobOf(piece));
    else if (this.#thread !== undefined) {
      // Its part is read here as it is read there: to open each file in the usual way makes half a dozen objects more.
      piece.filled[0] = 0;
      runFillJob(fillJobOf(piece));
    } else
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
      tellDigests(piece);
      piece.missing = [];
      this.#store(piece);
    }
  }

  #store(piece: Piece): void {
    const bytes = piece.bytes.subarray(0, piece.length);
    // Once it takes the digest, it would have to read again what this thread writes.
    const isTheirs = this.#isSummedThere ? this.#thread?.isReady === true : this.#canPost();
    // Of other memory, this is the copy.
    if (!this.#pieces.includes(piece) || !isTheirs) {
      this.#pass(bytes);
      piece.isFree = true;
      return;
    }
    this.#isSummedThere = true;
    piece.position = this.#file.claim(bytes.length);
    const { written: done, position } = piece;
    const tar = this.#number;
    this.#post(piece, { kind: "put", fd: this.#file.fd, bytes, position, tar, done });
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
    if (!this.#isSummedThere) this.#digester.update(bytes);
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
    digests: undefined,
    job: 0,
    position: undefined,
  };
}

const digestLength = 32;

function digestsOf(missing: readonly Missing[]): DigestsAsked | undefined {
  if (missing.every(({ digests }) => digests === undefined)) return undefined;
  return {
    heads: missing.map(({ digests, index }) => digests?.head(index) ?? "").join("\0"),
    results: new Uint8Array(new SharedArrayBuffer(missing.length * digestLength)),
  };
}

function tellDigests({ missing, digests: asked }: Piece): void {
  if (asked === undefined) return;
  const { results } = asked;
  const heads = asked.heads.split("\0");
  for (const [number, { digests, index }] of missing.entries()) {
    const at = number * digestLength;
    if (heads[number] !== "") digests?.learn(index, results.subarray(at, at + digestLength));
  }
}

function fillJobOf({ bytes, missing, digests, filled }: Piece): FillJob {
  let length = 0;
  for (const { later, index } of missing) {
    const { directory, names } = later.files;
    length += directory.length + (names[index]?.length ?? 0) + 1;
  }
  const paths = Buffer.alloc(length);
  const places = new Float64Array(placeLength * missing.length);
  const versions = new BigInt64Array(versionLength * missing.length);
  let [start, next, version] = [0, 0, 0];
  for (const { later, index, at } of missing) {
    const { directory, names, sizes, versions: known } = later.files;
    const name = names[index] ?? noName;
    places[next] = start;
    places[next + 1] = at;
    places[next + 2] = sizes[index] ?? 0;
    next += placeLength;
    paths.set(directory, start);
    paths.set(name, start + directory.length);
    start += directory.length + name.length + 1;
    const from = versionLength * index;
    versions.set(known.numbers.subarray(from, from + versionLength), version);
    version += versionLength;
  }
  return {
    kind: "fill",
    bytes,
    paths,
    places,
    versions,
    ...(digests && { digests }),
    done: filled,
  };
}

const noName = Buffer.alloc(0);

function fillHere({ bytes, missing, digests, filled }: Piece): void {
  // What it stands on is lost.
  if (filled[0] === headStands)
    throw new Error("the thread that reads files died in the midst of a digest");
  filled[0] = 0;
  const heads = digests?.heads.split("\0");
  for (const [number, { later, index, at }] of missing.entries()) {
    const { names, sizes } = later.files;
    const place = bytes.subarray(at, at + (sizes[index] ?? 0));
    const file = later.open(index);
    try {
      readAll(file.fd, place, joinRootPath(later.to, names[index] ?? noName));
      file.verify();
      const head = heads?.[number] ?? "";
      if (head !== "") digests?.results.set(digestBehind(head, place), number * digestLength);
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
